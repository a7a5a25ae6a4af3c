#!/usr/bin/env bash
# The proof of the protocol of pages between threads: docs/design/005-proof.md
# usage: tests/proof/run.sh quick | all | write
#   quick: the beginning of each scenario (seconds)
#   all:   the explorer, planted bugs, Relacy, order mutation (minutes); write: the same, into the document
# Ends with 77 (skipped) on a CPU that the explorer is not written for.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
export PROOF_OUT=${PROOF_OUT:-$PWD/out/proof}
out=$PROOF_OUT
doc=docs/design/005-proof.md
[ "$(uname -m)" = x86_64 ] || exit 77
mkdir -p "$out"

explorer() { printf '```\n' && "$out/explorer" "$@" && printf '```\n'; }
orders() { "$out/relacy" mutate 20000 >"$out/mutants" && tests/proof/orders.py <"$out/mutants"; }
planted() { tests/proof/planted.sh; }
random() { "$out/relacy" random 50000; }
bound() { "$out/relacy" bound 100000; }

# check NAME: its output to a file; the bad ones are printed at once.
check() {
  if "$1" >"$out/$1.txt" 2>&1; then echo "ok    $1"; else cat "$out/$1.txt"; echo "FAIL  $1"; return 1; fi
}

# Between the line "<!-- NAME" and the line "<!-- end" of the document stands what the check of that name printed.
write() {
  local name
  for name in explorer planted orders; do
    awk -v name="$name" -v file="$out/$name.txt" '
      /^<!-- end/ { if (inside) { while ((getline line < file) > 0) print line; inside = 0 } }
      !inside { print }
      $0 ~ "^<!-- " name { inside = 1 }' "$doc" >"$out/doc" && cp "$out/doc" "$doc"
  done
}

case ${1:-all} in
  quick)
    tests/proof/build.sh explorer && explorer -q
    # So that a change of a type is noticed here, where the package is there.
    [ ! -d /usr/include/relacy ] || { tests/proof/build.sh relacy && "$out/relacy" random 300; } ;;
  all | write)
    tests/proof/build.sh explorer relacy
    { check explorer && check planted; } & # two halves of about the same length
    first=$!
    status=0
    check random && check bound && check orders || status=1
    wait $first || status=1
    cat "$out/explorer.txt" "$out/orders.txt"
    [ "$1" != write ] || write
    exit $status ;;
  *) sed -n '3,6s/^# //p' "$0" >&2; exit 2 ;;
esac
