#!/usr/bin/env bash
# Fuzz the same target with AFL++ (apt: afl++): a second opinion, with other ideas how to change inputs.
# usage: tests/fuzz/afl.sh SECONDS       ends with: N passed, N failed
# Works in out/fuzz/afl-work; what fails is in its folder default/crashes.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
work=out/fuzz/afl-work
command -v afl-clang-fast >/dev/null || { echo "afl.sh: please install afl++" >&2; exit 1; }
tests/fuzz/build.sh afl || { echo "0 passed, 1 failed"; exit 1; }
rm -rf $work
mkdir -p $work

# Our memory is reserved in one large piece: no limit of address space (-m none).
AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
  afl-fuzz -V "$seconds" -m none -t 5000 -i tests/fuzz/corpus -o $work out/fuzz/afl/target \
  >out/fuzz/afl.log 2>&1
status=$?

stat() { sed -n "s/^$1 *: //p" $work/default/fuzzer_stats; }
crashes=$(find $work -path '*crashes*' -name 'id:*' | wc -l)
hangs=$(find $work -path '*hangs*' -name 'id:*' | wc -l)
[ -s $work/default/fuzzer_stats ] || { tail -n 20 out/fuzz/afl.log; status=1; }
echo "afl: $(stat execs_done) executions, $(stat edges_found) of $(stat total_edges) edges," \
  "stability $(stat stability), $(stat corpus_found) new inputs, $crashes crashes, $hangs hangs"
if [ $status -eq 0 ] && [ "$crashes" -eq 0 ]; then
  echo "1 passed, 0 failed"
else
  echo "0 passed, 1 failed"
  exit 1
fi
