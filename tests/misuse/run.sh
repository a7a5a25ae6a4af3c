#!/usr/bin/env bash
# Every crime of crimes.c, with blocks of three sizes, at every level of hardening: when is it noticed?
#
#   run.sh            compare with the table in docs/security.md: a test of the release build
#   run.sh --write    put the table there, beside what other allocators do that are installed
#
# "at once" means: in the call that is the crime; "later": afterwards, while the program lives on; both by our
# message and SIGABRT. "fault": the access meets a guard page.
set -euo pipefail
[ "${MI_NAME:-mimalloc}" = mimalloc ] || { echo "skipped: for the release build"; exit 77; }
[ "${MI_BITS:-64}" = 64 ] || { echo "skipped: the table is that of x86-64"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(cd "${MI_OUT:-$root/out/release}" && pwd)
document=$root/docs/security.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -std=c11 -O1 -w -fno-builtin "$here/crimes.c" -o "$work/crimes" -pthread

# verdict LIBRARY LEVEL CRIME SIZE
verdict() {
  local status=0
  LD_PRELOAD=$1 MIMALLOC_SECURE=$2 timeout 20 "$work/crimes" "$3" "$4" >"$work/out" 2>"$work/err" || status=$?
  if [ $status = 99 ]; then
    echo "-"
  elif [ $status = 0 ]; then
    if grep -q refused "$work/out"; then echo "refused"; elif grep -q hidden "$work/out"; then echo "hidden"; else echo "no"; fi
  elif [ $status = 139 ] && [ "$2" = 5 ] && ! grep -q "done" "$work/out"; then
    echo "fault"
  elif grep -q "^mimalloc: error: " "$work/err" || [ "${5:-}" = other ]; then
    if grep -q "done" "$work/out"; then echo "later"; else echo "at once"; fi
  else
    echo "**crash $status**"
  fi
}

# row LIBRARY LEVEL CRIME [other]: for the three sizes
row() {
  local small middle large
  small=$(verdict "$1" "$2" "$3" 8 "${4:-}")
  middle=$(verdict "$1" "$2" "$3" 4096 "${4:-}")
  large=$(verdict "$1" "$2" "$3" 262144 "${4:-}")
  if [ "$small" = "$middle" ] && [ "$middle" = "$large" ]; then
    printf ' %s |' "$small"
  else
    printf ' %s, %s, %s |' "$small" "$middle" "$large"
  fi
}

ours() {
  echo "| crime | 0-2 | 3 | 4 | 5 |"
  echo "|---|---|---|---|---|"
  while read -r crime; do
    printf '| %s |' "$crime"
    for level in 2 3 4 5; do
      # What is undefined where no free is checked differs from run to run.
      if [ $level -lt 3 ]; then printf ' - |'; else row "$out/libmimalloc.so" $level "$crime"; fi
    done
    echo
  done < <("$work/crimes" list)
}

theirs() {
  local name library
  local names=() libraries=()
  for library in "" /usr/lib/*/libscudo.so /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so /usr/lib/*/libmimalloc-secure.so.?; do
    [ -z "$library" ] || [ -e "$library" ] || continue
    name=glibc
    [ -z "$library" ] || name=$(basename "$library")
    names+=("$name")
    libraries+=("$library")
  done
  echo "| crime |$(printf ' %s |' "${names[@]}")"
  echo "|---|$(printf -- '---|%.0s' "${names[@]}")"
  while read -r crime; do
    printf '| %s |' "$crime"
    for library in "${libraries[@]}"; do row "$library" 0 "$crime" other; done
    echo
  done < <("$work/crimes" list)
}

# replace MARK: the lines of the document between the marks become those of the standard input.
replace() {
  awk -v mark="$1" -v table="$work/table" '
    $0 == "<!-- end of " mark " -->" { inside = 0 }
    !inside { print }
    $0 == "<!-- " mark " -->" { inside = 1; while ((getline line < table) > 0) print line }
  ' "$document" >"$work/document"
  cp "$work/document" "$document"
}

if [ "${1:-}" = --write ]; then
  ours >"$work/table"
  replace ours
  theirs >"$work/table"
  replace theirs
  exit 0
fi

failed=0
ours >"$work/ours"
sed -n '/^<!-- ours -->$/,/^<!-- end of ours -->$/p' "$document" | grep '^|' >"$work/expected"
diff -u "$work/expected" "$work/ours" || { echo "docs/security.md says otherwise (left)"; failed=1; }
if grep -F '**crash' "$work/ours"; then
  echo "a crime ended in a crash of ours"
  failed=1
fi
# P20: at level 4 every bad free is noticed in its call.
if awk -F'|' '$2 ~ /double free|free inside|free of|delete with/ && $5 !~ /^ at once $/' "$work/ours" | grep .; then
  echo "not noticed at once at level 4"
  failed=1
fi
exit $failed
