# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# z3: three puzzles with one answer each.
needs="z3"
run() {
  cat "$data/smt/pigeons.smt2" >all.smt2
  for puzzle in sudoku bits; do echo '(reset)' && cat "$data/smt/$puzzle.smt2"; done >>all.smt2
  measured z3 all.smt2 | sha256sum
}
