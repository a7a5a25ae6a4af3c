#!/usr/bin/env bash
# Run real programs without and with our library; their output and exit status must be the same.
# usage: tests/programs/run.sh [quick|all] [LIB] [CASE...]
#   LIB is the library to preload (out/release/libmimalloc.so), CASE a file name in cases/.
#
# A case is a file cases/NAME.sh with
#   needs="COMMAND..."        the case is skipped if one of them is missing
#   binaries="FILE..."        where the preload must have taken effect (default: $needs)
#   prepare() { ... }         optional; runs once, without our library, in the folder $shared
#   run() { ... }             runs in an empty folder; must succeed and print the same every time
# and may use $level (quick or all), $data (the folder data/) and $root (of the project).
#
# Everything runs twice: as it is, and under `ulimit -v` 4 GiB.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
level=quick
case ${1-} in quick | all) level=$1 && shift ;; esac
lib=$(realpath -m "${1:-$root/out/release/libmimalloc.so}")
shift $(($# > 0))
[ -f "$lib" ] || { echo "run.sh: no library '$lib' (make release builds it)" >&2; exit 2; }
[ $# -gt 0 ] || set -- "$here"/cases/*.sh

export level root data=$here/data LC_ALL=C.UTF-8 TZ=UTC
unset LD_PRELOAD PYTHONMALLOC PYTHONPATH PYTHONHOME CFLAGS CXXFLAGS
case $lib in *-debug.so) export MIMALLOC_SHOW_ERRORS=0 ;; esac  # on by default there
seconds=$([ "$level" = quick ] && echo 90 || echo 600)  # for one run of one case
passed=0 failed=0 skipped=0
groups=()  # process groups that may be alive
work=$(mktemp -d "${TMPDIR:-/tmp}/mi-programs.XXXXXX")

stop_groups() {
  for group in "${groups[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
  groups=()
}
trap 'stop_groups; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

ok() { passed=$((passed + 1)) && echo "ok $1"; }
fail() { # NAME, and what is wrong on stdin (never at the end of a pipe: it counts)
  failed=$((failed + 1)) && echo "FAIL $1"
  head -n 20 | cat -v | cut -c 1-160 | sed 's/^/    /'
}

# What a case file says in one of its variables.
said() { bash -c ". '$1'; echo \${$2-}"; }

missing() {
  local need
  for need in $1; do [ -e "$need" ] || command -v "$need" >/dev/null || echo "$need"; done
}

# start DIR LIMIT PRELOAD FILE: run() of a case, in the background, in a process group of its own
# (timeout makes it). The last of $groups is that group.
start() {
  local dir=$1 limit=$2 preload=$3 file=$4
  mkdir -p "$dir/home"
  (
    ulimit -v "$limit" && cd "$dir/home" || exit 125
    export HOME=$PWD TMPDIR=$PWD
    # shellcheck disable=SC2016  # the inner bash expands it
    exec timeout -k 5 "$seconds" env ${preload:+LD_PRELOAD="$preload"} \
      bash -euo pipefail -c '. "$0"; run' "$file"
  ) </dev/null >"$dir/stdout" 2>"$dir/stderr" &
  groups+=($!)
}

# The status of the case that was started as number N. What it left running is stopped.
finish() {
  wait "${groups[$1]}"
  local status=$?
  kill -KILL -- "-${groups[$1]}" 2>/dev/null
  return $status
}

# Paths of the run become DIR, addresses in messages ADDRESS.
normalise() {
  sed -i "s#$1/home#DIR#g" "$1/stdout" "$1/stderr"
  sed -i -E 's/0x[0-9a-f]{6,}/ADDRESS/g' "$1/stderr"
}

# compare NAME LIMIT FILE: one case without and with our library, side by side.
compare() {
  local name=$1 limit=$2 file=$3 plain=$work/plain ours=$work/ours
  groups=()
  start "$plain" "$limit" "" "$file"
  start "$ours" "$limit" "$lib" "$file"
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
    for part in status stderr stdout; do
      diff -a -U1 --label "without" --label "with our library ($part)" "$plain/$part" "$ours/$part"
    done >"$work/diff"
    if [ -s "$work/diff" ]; then fail "$name" <"$work/diff"; else ok "$name"; fi
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
  timeout 30 env LD_PRELOAD="$lib" LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$log" \
    "$binary" --version </dev/null >/dev/null 2>&1
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

prepare_case() {
  export shared=$work/shared
  mkdir "$shared"
  (
    cd "$shared" || exit 1
    # shellcheck disable=SC2016  # the inner bash expands it
    exec timeout 120 bash -euo pipefail -c '. "$0"; ! declare -F prepare >/dev/null || prepare' "$1"
  ) >"$work/log" 2>&1 </dev/null
}

check_case() {
  local name=$1 file=$here/cases/$1.sh needs gone binaries binary
  [ -f "$file" ] || { fail "$name" <<<"no such case"; return; }
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
    for binary in ${binaries:-$needs}; do
      case " $checked " in *" $binary "*) ;; *) check_preload "$binary" && checked="$checked $binary" ;; esac
    done
    compare "$name" unlimited "$file"
    compare "$name (4 GiB)" 4194304 "$file"
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
