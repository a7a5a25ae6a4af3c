#!/usr/bin/env bash
# The stress programs for SECONDS (600), each with a seed of its own, and one line for each part; what failed
# shows its output, with the seed. Four tenths of the time are for churn and stamped, in the release and the
# debug build (which checks the invariants as it goes). From 300 seconds on the promises follow in their long
# forms, which take what they need: about 6 minutes on 2 cores. Promise 17 (heaps) has a minute of its own.
# usage: tools/soak.sh [SECONDS]
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-600}
share=$((seconds / 10 > 0 ? seconds / 10 : 1))
passed=0 failed=0
mkdir -p out
log=$(mktemp out/soak.XXXXXX)
trap 'rm -f "$log"' EXIT

# part NAME COMMAND...: the last line of what it says is its summary.
part() {
  local name=$1 start=$SECONDS status verdict=ok
  shift
  timeout $((share + 600)) "$@" >"$log" 2>&1
  status=$?
  if [ $status -eq 77 ]; then
    verdict=skip
  elif [ $status -ne 0 ]; then
    verdict=FAIL
    failed=$((failed + 1))
    cat "$log"
  else
    passed=$((passed + 1))
  fi
  printf '%-4s  %-24s %5d s  status %d  %s\n' $verdict "$name" $((SECONDS - start)) $status "$(tail -n 1 "$log")"
}

for preset in release debug; do
  for program in churn stamped; do
    part "$program, $preset" out/$preset/tests/stress-$program $share $RANDOM
  done
done
part "promise 17, release" out/release/tests/stress-promise_17 $((seconds < 100 ? seconds : 60)) $RANDOM
if [ "$seconds" -ge 300 ]; then
  for promise in 03 10 12; do
    part "promise_$promise" out/release/tests/stress-promise_$promise long $RANDOM
    part "promise_$promise, shared" out/release/tests/stress-promise_$promise-shared short $RANDOM
  done
  export MI_LONG=1 MI_OUT=out/release MI_NAME=mimalloc
  for script in promise_11 promise_16 doors; do part $script tests/scripts/$script.sh; done
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
