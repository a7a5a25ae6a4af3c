#!/usr/bin/env bash
# A filter that refuses every system call but mmap, munmap, madvise and mprotect, and those that any
# program needs (support/seccomp.c lists them): the allocator starts and works, and tries no refused call
# twice. With madvise refused, too, nothing is purged and everything else works.
. "$(dirname "$0")/support/common.bash"
[ "$(uname -m)" = x86_64 ] || skip "written for x86-64"
compile seccomp seccomp.c
for mode in enosys eperm count advice kill; do
  for delay in 0 1000; do
    errors=1
    [ $mode = kill ] && errors=0 # or a failed allocation asks which limit it was
    with MIMALLOC_PURGE_DELAY=$delay MIMALLOC_SHOW_ERRORS=$errors timeout 60 ./seccomp $mode >said 2>err
    status=$?
    [ $status -ne 77 ] || skip "no seccomp filters here"
    { [ $status -eq 0 ] && [ "$(tail -n 1 said)" = worked ]; } ||
      { cat said err && fail "mode $mode, purge delay $delay: status $status"; }
    sed "s/^/$mode, purge delay $delay: /" said
  done
done
