# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# z3 on small problems with one possible answer each (a solver's choices may depend on addresses).
needs="z3"
run() {
  for problem in "$data"/smt/*.smt2; do
    echo "--- ${problem##*/}"
    z3 "$problem" || echo "status $?"
  done
}
