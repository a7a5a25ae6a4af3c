#!/usr/bin/env bash
# When the system refuses memory, one line says so, and names the limit that was reached.
. "$(dirname "$0")/support/common.bash"
compile fill fill.c

try() { # ULIMIT SIZE EXPECTED
  # shellcheck disable=SC2086  # several options
  (ulimit $1 && exec timeout 60 env MIMALLOC_SHOW_ERRORS=1 LD_PRELOAD="$lib" ./fill "$2") 2>err
  local status=$?
  if [ $status -ne 0 ] || [ "$(wc -l <err)" -ne 1 ] ||
    ! grep -Eqx "mimalloc: error: out of memory: $2 bytes could not be allocated \($3\)" err; then
    bad=$((bad + 1))
    echo "FAIL ulimit $1, blocks of $2 bytes: status $status"
    head -n 5 err
  fi
}

for size in 100 30000 1000000 9000000; do
  try "-v 409600" $size "limit of address space: 419430400 bytes"
  try "-d 65536" $size "limit of data: 67108864 bytes"
done
# With 32 bits one of these may be to be had, not two.
too_much=$((bits == 64 ? 1 << 60 : (1 << 31) - 1))
try "-c 0" $too_much "addresses reserved for the heap: [0-9]+ bytes"
[ "$bad" -eq 0 ] || fail "$bad cases"
