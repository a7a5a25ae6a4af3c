#!/bin/bash
# The time of the longest malloc and the longest free, by allocator and size of the heap (P16: less than 50 us).
#
#   bench/worst.sh NAME=LIBRARY ...                     glibc=  (no library) is the system's own
#   HEAPS="10 400" CALLS=200000 bench/worst.sh ...      MiB, and number of calls
#
# Of each call counts the least of 20 identical runs; calls that had a page fault in all of them do not count.
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
mkdir -p out/bench
"${CC:-cc}" -std=c11 -O2 -fno-builtin -D_GNU_SOURCE -Wall -Wextra bench/worst.c -o out/bench/worst

printf '%-12s %9s %10s %10s %10s %10s %10s\n' allocator 'heap MiB' 'malloc us' 'of bytes' 'free us' 'of bytes' 'left out'
for heap in ${HEAPS:-10 400}; do
  for peer in "$@"; do
    read -r malloc malloc_size free free_size left_out < <(LD_PRELOAD=${peer#*=} out/bench/worst "$heap" "${CALLS:-200000}")
    printf '%-12s %9d %7d.%02d %10d %7d.%02d %10d %10d\n' "${peer%%=*}" "$heap" $((malloc / 1000)) $((malloc % 1000 / 10)) \
      "$malloc_size" $((free / 1000)) $((free % 1000 / 10)) "$free_size" "$left_out"
  done
done
