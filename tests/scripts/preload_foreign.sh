#!/usr/bin/env bash
# Foreign pointers given to free, realloc and malloc_usable_size go to the next allocator, and the
# program carries on. The hardened build may stop it instead, with a message, not with a crash.
. "$(dirname "$0")/support/common.bash"
compile foreign foreign.c -ldl

with ./foreign >said 2>err
status=$?
cat said err
case $status in
  0) [ "$(cat said)" = "went on after foreign pointers" ] || fail "it says something else" ;;
  77) skip "libc's own malloc cannot be reached" ;;
  134) if [ "$variant" != secure ] || ! [ -s err ]; then fail "stopped"; fi ;;
  *) fail "status $status" ;;
esac
