#!/usr/bin/env bash
# Race two builds of ours: what is here against a commit of the past.
#
# usage: bench/compare.sh REVISION [OPTION OF race.py...]          e.g. bench/compare.sh HEAD~3 --only replace
#
# The commit is built in out/base, from an archive of it: no file of the work tree is touched.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
commit=$(git rev-parse --verify --short "$1^{commit}")
shift
base=out/base/$commit
if ! [ -f "$base/out/libmimalloc.so" ]; then
  rm -rf "$base"
  mkdir -p "$base"
  git archive "$commit" | tar -x -C "$base"
  cmake -S "$base" -B "$base/out" -DCMAKE_BUILD_TYPE=Release -DMI_BUILD_TESTS=OFF >"$base/log"
  cmake --build "$base/out" --target mimalloc >>"$base/log" || { tail -n 20 "$base/log" >&2; exit 1; }
fi
echo "base is $commit"
exec python3 bench/race.py --base "$base/out/libmimalloc.so" --peers base --out "out/bench/compare-$commit" "$@"
