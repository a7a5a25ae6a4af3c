#!/usr/bin/env bash
# D4: destructors of thread_local objects and of keys, in every pass, and raw clones are served, keep
# errno, and leave nothing owned: 300 more of them take no more memory.
. "$(dirname "$0")/support/common.bash"
[ "$(uname -m)" = x86_64 ] || skip "makes the thread-local area of x86-64 by hand"
name=${lib##*/lib} && name=${name%.so}
compile threads late_threads.c -D_GNU_SOURCE
compile static late_threads.c -D_GNU_SOURCE "$out/lib$name.a" -static

expect() { # WHAT COMMAND...
  local what=$1 status
  shift
  timeout 60 "$@" >said 2>err
  status=$?
  cat err
  [ $status -eq 0 ] && [ "$(cat said)" = "served to the end" ] || fail "$what: status $status"
  echo "ok   $what"
}
for kind in destructors vfork clone; do
  expect "$kind, preloaded" env LD_PRELOAD="$lib" ./threads $kind 300
  expect "$kind, static" ./static $kind 300
done
