#!/usr/bin/env bash
# P17: mi_heap_new, 100 blocks of 16 to 64 bytes and mi_heap_destroy take less than 3 us when warm, and no system call.
# Counted in instructions, by callgrind: 18 000 of them in 3 us are two a cycle at 3 GHz.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = release ] || skip "a promise of the release build only"
[ "$bits" = 64 ] || skip "64 bits are enough"
has_valgrind || skip "no valgrind"
compile promise_17 promise_17.c "-L$out" -lmimalloc "-Wl,-rpath,$out"

warm=100 rounds=1000

# The instructions of a run of so many rounds.
instructions_of() { # ROUNDS
  valgrind --tool=callgrind --callgrind-out-file=/dev/null ./promise_17 "$1" 2>&1 | sed -n 's/.*Collected : //p'
}

before=$(instructions_of $warm)
after=$(instructions_of $((warm + rounds)))
[ "${before:-0}" -gt 0 ] && [ "${after:-0}" -gt "$before" ] || fail "nothing was counted: '$before' '$after'"
each=$(((after - before) / rounds))
[ $each -lt 18000 ] || complain none "a round takes $each instructions"
echo "a round takes $each instructions, less than 18000"

calls_of() { # ROUNDS
  strace -f -o "calls.$1" ./promise_17 "$1" || fail "strace: status $?"
  wc -l <"calls.$1"
}
if command -v strace >/dev/null; then
  few=$(calls_of $warm)
  many=$(calls_of $((warm + rounds)))
  [ "$few" -gt 0 ] && [ "$many" -eq "$few" ] || complain "calls.$((warm + rounds))" "$((many - few)) system calls more for $rounds rounds more"
fi
[ $bad -eq 0 ]
