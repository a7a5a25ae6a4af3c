#!/usr/bin/env bash
# Build all flavours, replay the corpus in each, then fuzz for a while, the time shared out evenly.
# usage: tests/fuzz/run.sh SECONDS       (0: only the replay)     ends with: N passed, N failed
# What is new goes to out/fuzz/corpus, what fails to out/fuzz/crashes.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
flavours="release debug asan"
new=out/fuzz/corpus
crashes=out/fuzz/crashes
mkdir -p $new $crashes
passed=0 failed=0

verdict() { # verdict STATUS FLAVOUR TEXT
  if [ "$1" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %-8s %s\n' "$2" "$3"
  else
    failed=$((failed + 1))
    printf 'FAIL  %-8s %s\n' "$2" "$3"
  fi
}

target() { # target FLAVOUR OPTION... FOLDER...
  local flavour=$1
  shift
  "out/fuzz/$flavour/target" -max_len=1024 -timeout=60 -rss_limit_mb=3000 \
    -artifact_prefix=$crashes/"$flavour"- -print_final_stats=1 "$@" >"out/fuzz/$flavour.log" 2>&1
}

# The first or last number behind `name` in the log of a flavour.
number() { grep -oE "$2[: ]+[0-9]+" "out/fuzz/$1.log" | grep -oE '[0-9]+$' | "$3" -n 1; }

replay() {
  target "$1" -runs=0 tests/fuzz/corpus
  verdict $? "$1" "replay of $(find tests/fuzz/corpus -type f | wc -l) inputs, $(number "$1" cov tail) edges"
}

fuzz() { # fuzz FLAVOUR SECONDS
  target "$1" -max_total_time="$2" -len_control=0 $new tests/fuzz/corpus
  local status=$? before after
  before=$(number "$1" 'INITED cov' head)
  after=$(number "$1" cov tail)
  verdict $status "$1" "$(number "$1" number_of_executed_units tail) executions in $2 s, \
${after:-0} edges of src/, $((${after:-0} - ${before:-0})) new; $(number "$1" new_units_added tail) new inputs"
  [ $status -eq 0 ] || tail -n 40 "out/fuzz/$1.log"
}

# shellcheck disable=SC2086
tests/fuzz/build.sh $flavours || { echo "0 passed, 1 failed"; exit 1; }
for flavour in $flavours; do replay "$flavour"; done
if [ "$seconds" -gt 0 ] && [ $failed -eq 0 ]; then
  for flavour in $flavours; do fuzz "$flavour" $(((seconds + 2) / 3)); done
fi
[ $failed -eq 0 ] || ls $crashes
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
