#!/bin/bash
# Instructions per malloc+free pair under callgrind, by pattern and allocator.
#
#   bench/icount.sh PAIRS_BINARY NAME=LIBRARY ...      glibc=  (no library) is the system's own
#   PATTERNS="lifo1 64,batch 64" bench/icount.sh ...   only these patterns
#
# Two run lengths are subtracted, so what happens once (loading, start-up, the first refills) does not
# count; the loop (`none 64` counts it) and the calls through the PLT do, about 3 and 15.
set -euo pipefail

patterns=${PATTERNS:-lifo1 64,batch 64,batch 16,batch 512,random 64,mixed 256,mixed 1024,mixed 8000,mixed 60000,remote 64}
short=10 long=60 # rounds of 1000 pairs

if [ $# -lt 2 ]; then
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
command -v valgrind >/dev/null || { echo "icount: valgrind is not installed" >&2; exit 2; }
pairs=$1
shift

# The number of instructions of one run: collected LIBRARY PATTERN SIZE ROUNDS
collected() {
  local library=$1 log
  shift
  log=$(LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null "$pairs" "$@" 2>&1) ||
    { echo "$log" >&2; return 1; }
  if [[ $log == *"cannot be preloaded"* ]]; then echo "icount: $library cannot be preloaded" >&2; return 1; fi
  sed -n 's/.*Collected : //p' <<<"$log"
}

IFS=, read -ra rows <<<"$patterns"
for row in "${rows[@]}"; do
  read -r pattern size <<<"$row"
  printf '%-12s' "$row"
  for peer in "$@"; do
    library=${peer#*=}
    few=$(collected "$library" "$pattern" "$size" $short)
    many=$(collected "$library" "$pattern" "$size" $long)
    # One decimal, without bc: tenths of an instruction are instructions per ten pairs.
    tenths=$(((many - few) * 10 / ((long - short) * 1000)))
    printf ' %s:%d.%d' "${peer%%=*}" $((tenths / 10)) $((tenths % 10))
  done
  echo
done
