#!/usr/bin/env bash
# P16: no call is long: the worst malloc and the worst free take less than 20 000 instructions, with a heap of
# 10 MiB and one of 400 MiB, also when other threads have freed much, when threads have ended, and when much
# is due to be purged. Counted by callgrind, each call by itself. MI_LONG=1: more calls.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = release ] || skip "a promise of the release build only"
[ "${MI_BITS:-64}" = 64 ] || skip "64 bits are enough"
command -v valgrind >/dev/null || skip "no valgrind"
echo '#include <valgrind/callgrind.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 || skip "no valgrind/callgrind.h"
compile worst_call worst_call.c
calls=3000
[ "${MI_LONG:-0}" = 0 ] || calls=30000

# Sets `malloc` and `free`, the most instructions of one call. A line of a dump names the call, the next its figure.
# Threads are counted apart: ours, which purges, may run during a call, and is no part of it.
count() { # PART HEAP_MIB
  rm -f counts
  # What the dynamic linker does at the first call of each function is not ours: all is bound at the start.
  with MIMALLOC_PURGE_DELAY=20 LD_BIND_NOW=1 timeout 150 valgrind --tool=callgrind --separate-threads=yes --callgrind-out-file=counts \
    --combine-dumps=yes ./worst_call "$1" "$2" $calls 2>err || { complain err "$1, $2 MiB: status $?"; return 1; }
  read -r malloc free < <(awk '
    /^desc: Trigger: / { call = $NF }
    /^totals: / { if ($2 > most[call]) most[call] = $2 }
    END { print most["malloc"] + 0, most["free"] + 0 }' counts)
}

# A heap 40 times as large (10 times, if it falls) may not cost more than twice as much.
row() { # PART CALL SMALL_MIB SMALL LARGE
  local verdict=ok
  if [ "$4" -eq 0 ] || [ "$4" -ge 20000 ] || [ "$5" -ge 20000 ] || { [ "$5" -gt 2000 ] && [ "$5" -gt $((2 * $4)) ]; }; then
    verdict=FAIL
    bad=$((bad + 1))
  fi
  printf '%-4s P16 %-6s worst %-6s: %7d instructions with %d MiB, %7d with 400 MiB; less than 20000\n' \
    $verdict "$1" "$2" "$4" "$3" "$5"
}

# A heap that falls is compared with one of 40 MiB: with less than 16 MiB nothing is given back at the free itself
# (src/heap/quiet.c), so 10 MiB would show what giving back costs, and not whether that depends on the heap.
for part in mixed remote ended falls; do
  small=10
  [ $part != falls ] || small=40
  count $part $small || continue
  malloc_small=$malloc free_small=$free
  count $part 400 || continue
  row $part malloc $small "$malloc_small" "$malloc"
  row $part free $small "$free_small" "$free"
done
[ $bad -eq 0 ]
