#!/usr/bin/env bash
# D3: libc allocates while we start: thread keys beyond the first 32, long lists of fork handlers, dlsym,
# stdio; all that before our constructor, too. The next allocator's free is looked up once, at start.
. "$(dirname "$0")/support/common.bash"
name=${lib##*/lib} && name=${name%.so}

expect() { # WHAT COMMAND...
  local what=$1 status
  shift
  timeout 60 "$@" >said 2>err
  status=$?
  [ $status -eq 0 ] && [ "$(cat said)" = "called back and forth" ] || { cat said err; fail "$what: status $status"; }
  echo "ok   $what"
}

compile plain first_calls.c -D_GNU_SOURCE
compile counting first_calls.c -D_GNU_SOURCE -DCOUNT_DLSYM -rdynamic "$lib" -Wl,-rpath,"$out"
compile archive first_calls.c -D_GNU_SOURCE "$out/lib$name.a"
compile static first_calls.c -D_GNU_SOURCE -DSTATIC_PROGRAM "$out/lib$name.a" -static
expect "preloaded" env LD_PRELOAD="$lib" ./plain
expect "linked, and dlsym counted" ./counting
expect "linked with the archive" ./archive
expect "static" ./static
for verbose in 1 3; do
  MIMALLOC_VERBOSE=$verbose expect "linked, verbose $verbose" ./counting
done
