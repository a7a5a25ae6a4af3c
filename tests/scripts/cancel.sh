#!/usr/bin/env bash
# D1: no cancellation point inside of us, reports by raw write, errno kept through every slow path, by
# reports and by purges, also with the standard error closed.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = secure ] && skip "stops at an invalid free, which is part of this"
compile cancel cancel.c -D_GNU_SOURCE -rdynamic

for delay in 0 10 -1; do
  with env MIMALLOC_PURGE_DELAY=$delay MIMALLOC_SHOW_ERRORS=1 ./cancel >said 2>err
  status=$?
  [ $status -eq 0 ] && [ "$(cat said)" = "cancelled where it asked for it" ] || { cat said err; fail "status $status"; }
  grep -q "too large" err && grep -q "power of two" err && grep -q "no block begins" err ||
    { cat err; fail "not all reports were written"; }
  echo "ok   purge delay $delay"
done
