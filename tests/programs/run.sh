#!/usr/bin/env bash
# Run real programs without and with our library; their output and exit status must be the same.
# usage: tests/programs/run.sh [quick|all] [LIB] [CASE...]
#   LIB is the library to preload (out/release/libmimalloc.so), CASE a file name in cases/.
#
# A case is a file cases/NAME.sh with
#   needs="COMMAND..."        the case is skipped if one of them is missing
#   binaries="FILE..."        where the preload must have taken effect (default: $needs), or none
#   only=all                  quick leaves it out, unless it is named
#   limited=no                it cannot live in 4 GiB, by itself
#   known="REASON"            it differs, and why
#   compares="WHAT"           for table.sh: what is compared, if not all that it prints
#   rounds=1                  for table.sh: it is slow
#   prepare() { ... }         optional; runs once, without our library, in the folder $shared
#   run() { ... }             runs in an empty folder; must succeed and print the same every time
# and may use $level (quick or all), $tests (this folder), $data (the folder data/), $root (of the project).
#
# Everything runs twice: as it is, and under `ulimit -v` 4 GiB.
# shellcheck disable=SC2034,SC2154  # case.sh uses and sets them
set -u
here=$(cd "$(dirname "$0")" && pwd)
level=quick
case ${1-} in quick | all) level=$1 && shift ;; esac
library=$(realpath -m "${1:-$here/../../out/release/libmimalloc.so}")
shift $(($# > 0))
named=yes
[ $# -gt 0 ] || { named=no && set -- "$here"/cases/*.sh; }
passed=0 failed=0 skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/mi-programs.XXXXXX")
# shellcheck source=case.sh
. "$here/case.sh"
use_library "$library"

ok() { passed=$((passed + 1)) && echo "ok $1"; }
fail() { # NAME, and what is wrong on stdin (never at the end of a pipe: it counts)
  failed=$((failed + 1)) && echo "FAIL $1"
  head -n 20 | cat -v | cut -c 1-160 | sed 's/^/    /'
}

# compare NAME LIMIT FILE: one case without and with our library, side by side.
compare() {
  local name=$1 limit=$2 file=$3 plain=$work/plain ours=$work/ours
  groups=()
  start "$plain" "$limit" "$file"
  start "$ours" "$limit" "$file" env LD_PRELOAD="$lib"
  finish 0
  echo "exit status $?" >"$plain/status"
  finish 1
  echo "exit status $?" >"$ours/status"
  groups=()
  normalise "$plain"
  normalise "$ours"
  if [ "$(cat "$plain/status")" != "exit status 0" ]; then
    fail "$name" < <(echo "fails without our library, too:" && cat "$plain/status" "$plain/stderr")
  elif ! [ -s "$plain/stdout" ]; then
    fail "$name" <<<"prints nothing, so it shows nothing"
  else
    difference "$plain" "$ours" >"$work/diff"
    if ! [ -s "$work/diff" ]; then
      ok "$name"
    elif [ -n "$(said "$file" known)" ]; then
      ok "$name: differs, for a known reason"
    else
      fail "$name" <"$work/diff"
    fi
  fi
  rm -rf "$plain" "$ours"
}

# Is malloc in this program, and in every library it loads, really ours? Asks the dynamic linker.
# (Where a program that is not position-independent takes the address of malloc, everyone is bound to
# the program's jump to malloc; the program must then be bound to ours.)
check_preload() {
  local binary name bound through log=$work/bindings
  binary=$(command -v "$1")
  name="preload of ${1##*/}"
  rm -f "$log".*
  {  # some crash at --version, whatever their malloc is; bash would tell
    timeout 30 env LD_PRELOAD="$lib" LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$log" \
      "$binary" --version </dev/null
  } >/dev/null 2>&1
  cat "$log".* 2>/dev/null | grep -E "symbol .(malloc|calloc|realloc|free)'" >"$work/bound"
  rm -f "$log".*
  bound=$(grep -c -F " to $lib [" "$work/bound")
  through="binding file $binary [0] to $lib ["
  if grep -q -F "$through" "$work/bound"; then through=" to $binary ["; fi
  grep -v -F -e " to $lib [" -e "binding file $lib [" -e "$through" "$work/bound" >"$work/elsewhere"
  if [ -s "$work/elsewhere" ]; then
    fail "$name" <"$work/elsewhere"
  elif [ "$bound" -eq 0 ]; then
    fail "$name" <<<"no malloc, calloc, realloc or free of it is bound to $lib"
  else
    ok "$name"
  fi
}

# The same as the running program sees it: our library is mapped with LD_PRELOAD, not without.
check_maps() {
  local with without
  # shellcheck disable=SC2002  # cat is the program that is looked at
  with=$(LD_PRELOAD=$lib cat /proc/self/maps | grep -c -F "$lib")
  without=$(grep -c -F "$lib" /proc/self/maps)
  if [ "$with" -gt 0 ] && [ "$without" -eq 0 ]; then
    ok "preload in /proc/self/maps"
  else
    fail "preload in /proc/self/maps" <<<"mappings: $with with LD_PRELOAD, $without without"
  fi
}

check_case() {
  local name=$1 file=$here/cases/$1.sh needs gone binaries binary
  [ -f "$file" ] || { fail "$name" <<<"no such case"; return; }
  if [ "$named" = no ] && [ "$level" = quick ] && [ "$(said "$file" only)" = all ]; then return; fi
  needs=$(said "$file" needs)
  gone=$(missing "$needs")
  if [ -n "$gone" ]; then
    skipped=$((skipped + 1))
    echo "skip $name (not installed: ${gone//$'\n'/ })"
    return
  fi
  if ! prepare_case "$file"; then
    fail "$name (prepare)" <"$work/log"
  else
    binaries=$(said "$file" binaries)
    [ "$binaries" != none ] || binaries=" "
    for binary in ${binaries:-$needs}; do
      case " $checked " in *" $binary "*) ;; *) check_preload "$binary" && checked="$checked $binary" ;; esac
    done
    compare "$name" unlimited "$file"
    [ "$(said "$file" limited)" = no ] || compare "$name (4 GiB)" 4194304 "$file"
  fi
  rm -rf "$shared"
}

checked=""  # programs whose preload has been checked
check_maps
for case in "$@"; do
  case=${case##*/}
  check_case "${case%.sh}"
done

echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ]
