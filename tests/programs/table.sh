#!/usr/bin/env bash
# Run every case with and without our library, in turns, and write the table of docs/programs.md: is what
# it prints identical, what do time and peak RSS come to.
# usage: tests/programs/table.sh [-n ROUNDS] [-o FILE] [LIB] [CASE...]
#   -n is 3 (a case may ask for fewer), FILE docs/programs.md, LIB out/release/libmimalloc.so.
# The status is 1 if a program differs for no known reason. What a case is: run.sh.
#
# A case is measured as a whole, from the start of the shell that runs it, by tools/measure.c; it may put
# other figures into files of its folder: see server.sh.
# shellcheck disable=SC2034,SC2154  # case.sh uses and sets them
set -u
here=$(cd "$(dirname "$0")" && pwd)
export level=all
rounds=3 out=$here/../../docs/programs.md
while getopts n:o: option; do
  case $option in
    n) rounds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
library=$(realpath -m "${1:-$here/../../out/release/libmimalloc.so}")
shift $(($# > 0))
[ $# -gt 0 ] || set -- "$here"/cases/*.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/mi-table.XXXXXX")
# shellcheck source=case.sh
. "$here/case.sh"
use_library "$library"
cc -O1 -static "$root/tools/measure.c" -o "$work/measure" || exit 2
rows=$work/rows reasons=$work/reasons left_out=$work/left_out compared=$work/compared
touch "$rows" "$reasons" "$left_out" "$compared"

# The middle value of column N of a file.
median() { sort -n -k "$2,$2" "$1" | awk -v n="$2" '{ v[NR] = $n } END { print v[int((NR + 1) / 2)] }'; }

# The version of the package that a program is from, without what Debian adds.
version_of() {
  local file package
  file=$(realpath "$(command -v "$1")")
  package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}" 2>/dev/null) || return
  # shellcheck disable=SC2016  # dpkg-query expands it
  dpkg-query -W -f '${Version}' "${package%%:*}" | sed -E 's/^[0-9]+://; s/[-+~].*//'
}

# once NAME FILE [-p LIBRARY]: the case once; adds a line "SECONDS PEAK_KIB USER SYSTEM" to $work/NAME.figures.
once() {
  local name=$1 file=$2 dir=$work/$1
  shift 2
  rm -rf "$dir" "$work/line"
  groups=()
  start "$dir" unlimited "$file" "$work/measure" "$@" "$work/line"
  finish 0
  echo "exit status $?" >"$dir/status"
  groups=()
  normalise "$dir"
  local wall=0 peak=0 user=0 system=0
  if [ -s "$work/line" ]; then read -r wall user system peak _ <"$work/line"; fi
  if [ -s "$dir/home/seconds" ]; then wall=$(cat "$dir/home/seconds"); fi
  if [ -s "$dir/home/peak" ]; then peak=$(sort -n "$dir/home/peak" | tail -n 1); fi
  echo "$wall $peak $user $system" >>"$work/$name.figures"
}

# The rounds of one case; $work/diff is the first difference.
measure_case() {
  local turns
  turns=$(said "$1" rounds)
  if [ -z "$turns" ] || [ "$turns" -gt "$rounds" ]; then turns=$rounds; fi
  rm -f "$work"/*.figures "$work/diff"
  for ((turn = 1; turn <= turns; turn++)); do
    once plain "$1"
    once ours "$1" -p "$lib"
    [ -s "$work/diff" ] || difference "$work/plain" "$work/ours" >"$work/diff"
  done
}

# ratio COLUMN: ours by theirs.
ratio() {
  awk -v ours="$(median "$work/ours.figures" "$1")" -v plain="$(median "$work/plain.figures" "$1")" \
    'BEGIN { if (plain > 0 && ours > 0) printf "%.2f", ours / plain; else print "-" }'
}

# row CASE FILE: what was measured, as a line of the table, with its reason where it is not "yes".
row() {
  local name=$1 file=$2 identical=yes known version time peak
  known=$(said "$file" known)
  version=$(version_of "$(said "$file" needs | awk '{ print $1 }')")
  time=$(ratio 1) peak=$(ratio 2)
  if [ "$(cat "$work/plain/status")" != "exit status 0" ] || ! [ -s "$work/plain/stdout" ]; then
    identical="fails without us" failed=$((failed + 1))
    printf '%s\n\n```\n%s\n```\n\n' "**$name**" "$(tail -n 5 "$work/plain/stderr")" >>"$reasons"
  elif [ -s "$work/diff" ] && [ -n "$known" ]; then
    identical="no (known)" time=- peak=-
    printf '%s\n\n```\n%s\n```\n\n' "$(fmt -w 116 <<<"**$name**: $known.")" "$(head -n 16 "$work/diff" | cut -c 1-110)" >>"$reasons"
  elif [ -s "$work/diff" ]; then
    identical=no failed=$((failed + 1))
    printf '**%s**\n\n```\n%s\n```\n\n' "$name" "$(head -n 16 "$work/diff" | cut -c 1-110)" >>"$reasons"
  fi
  echo "| $name${version:+ $version} | $identical | $time | $peak |" | tee -a "$rows"
}

say_compared() {
  local compares
  compares=$(said "$2" compares)
  [ -z "$compares" ] || fmt -t -w 116 <<<"- $1: $compares" >>"$compared"
}

table_case() {
  local name=$1 file=$here/cases/$1.sh gone start=$SECONDS
  gone=$(missing "$(said "$file" needs)")
  if [ -n "$gone" ]; then
    echo "- $name: not installed: ${gone//$'\n'/ }" | tee -a "$left_out"
  elif ! prepare_case "$file"; then
    failed=$((failed + 1))
    echo "- $name: cannot be prepared: $(tail -n 1 "$work/log")" | tee -a "$left_out"
  else
    measure_case "$file"
    row "$name" "$file"
    say_compared "$name" "$file"
    awk -v all=$((SECONDS - start)) -v total=$SECONDS '{ used += $3 + $4 }
      END { printf "      %d s (%.1f s of processor), %d s so far\n", all, used, total }' "$work"/*.figures >&2
  fi
  rm -rf "$shared" "$work/plain" "$work/ours"
}

section() { # TITLE FILE
  [ -s "$2" ] || return 0
  echo
  echo "## $1"
  echo
  cat -s "$2" | sed -e '${/^$/d}'
}

# machine: one line.
machine() {
  local cpu memory system
  cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
  memory=$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)
  # shellcheck source=/dev/null
  system=$(. /etc/os-release && echo "$PRETTY_NAME")
  echo "$cpu, $(nproc) processors, $memory; $system, Linux $(uname -r), $(getconf GNU_LIBC_VERSION)"
}

document() {
  cat <<END
# Programs under LD_PRELOAD

Written by \`make check-programs\` (\`tests/programs/table.sh\`); not to be edited. Real programs, with
\`LD_PRELOAD=libmimalloc.so\` and without, in turns, $rounds rounds (fewer where a case says so), medians.

- *identical*: standard output, standard error and exit status are those of the run without us, in every
  round. What of a program is run, and why its output is the same every time: \`tests/programs/cases/\`.
- *time ratio*: wall clock of the whole case with us by that without; below 1 we are faster. Start and
  waiting count, too.
- *peak RSS ratio*: the peak of the largest process, with us by without (of the server where there is one);
  below 1 we need less. What the kernel counts may be 256 KiB off.

$(date -u +%Y-%m-%d), commit $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown). $(machine).

| program | identical | time ratio | peak RSS ratio |
|---|---|---:|---:|
$(cat "$rows")
END
  section "Not identical" "$reasons"
  section "What is compared, where it is not all of the output" "$compared"
  section "Left out" "$left_out"
}

failed=0
for case in "$@"; do
  case=${case##*/}
  table_case "${case%.sh}"
done
document >"$work/document" && cp "$work/document" "$out"
echo "$(wc -l <"$rows") programs, $(grep -c '| yes |' "$rows") identical, $failed failed, $SECONDS s: $out"
[ "$failed" -eq 0 ]
