#!/usr/bin/env bash
# All that we know about speed and memory, in one go, docs/benchmarks.md and a part of docs/memory.md of it. What the words mean: README.md.
#
# usage: bench/all.sh [OPTION OF race.py...]        results in out/bench/results
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
results=out/bench/results
mkdir -p $results
rm -f $results/*.json $results/icount.txt
status=0

python3 bench/race.py "$@" || status=1
python3 bench/tail.py || status=1
python3 bench/giveback.py --json $results/giveback.json --document docs/memory.md || status=1
python3 bench/giveback.py --programs --json $results/giveback-programs.json --document docs/memory.md || status=1
python3 bench/scaling.py --json $results/scaling.json || status=1
libraries=()
while read -r library; do
  case $library in scudo=*) ;; *) libraries+=("$library") ;; esac # valgrind stops it
done < <(python3 bench/race.py --libraries)
bench/icount.sh out/bench/pairs "${libraries[@]}" | tee $results/icount.txt || status=1
python3 bench/document.py || status=1
exit $status
