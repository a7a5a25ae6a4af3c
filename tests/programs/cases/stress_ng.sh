# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# stress-ng's malloc stressor, which checks what it has written, with processes and with threads.
needs="stress-ng"
only=all
compares="the verdict of its own verification and the number of operations; not its times and rates"
run() {
  local operations=40000
  [ "$level" = quick ] || operations=400000
  stress-ng --seed 1 --malloc 2 --malloc-ops "$operations" --malloc-bytes 16k --malloc-max 5000 --verify --metrics-brief >log 2>&1 || echo "status $?"
  stress-ng --seed 1 --malloc 1 --malloc-ops "$((operations / 4))" --malloc-bytes 16k --malloc-max 2000 --malloc-pthreads 3 --verify --metrics-brief >>log 2>&1 || echo "status $?"
  stress-ng --seed 1 --malloc 1 --malloc-ops "$((operations / 200))" --malloc-bytes 2m --malloc-max 200 --malloc-touch --verify --metrics-brief >>log 2>&1 || echo "status $?"
  sed -nE 's/^stress-ng: info: +\[[0-9]+\] (successful run completed).*/\1/p; s/^stress-ng: [a-z]+: +\[[0-9]+\] malloc +([0-9]+) .*/\1 operations/p' log
  grep -E 'fail|warn' log || true
}
