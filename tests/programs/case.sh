# shellcheck shell=bash disable=SC2034,SC2154  # shared variables
# What run.sh and table.sh share: how a case is read, prepared, started and cleaned up. Wants $here (this
# folder), $work (a new one), $level; run.sh says what a case is.

root=$(cd "$here/../.." && pwd)
export root level tests=$here data=$here/data LC_ALL=C.UTF-8 TZ=UTC
unset LD_PRELOAD PYTHONMALLOC PYTHONPATH PYTHONHOME CFLAGS CXXFLAGS
seconds=$([ "$level" = quick ] && echo 90 || echo 600)  # for one run of one case

groups=()  # process groups that may be alive
stop_groups() {
  for group in "${groups[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
  groups=()
}
trap 'stop_groups; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# use_library LIB: sets $lib to a copy of it, which other users can read and no build replaces.
use_library() {
  [ -f "$1" ] || { echo "${0##*/}: no library '$1' (make release builds it)" >&2; exit 2; }
  chmod 711 "$work"
  lib=$work/$(basename "$1")
  install -m 755 "$1" "$lib"
  case $lib in *-debug.so) export MIMALLOC_SHOW_ERRORS=0 ;; esac  # on by default there
}

# What a case file says in one of its variables.
said() { bash -c ". '$1'; echo \${$2-}"; }

missing() {
  local need
  for need in $1; do [ -e "$need" ] || command -v "$need" >/dev/null || echo "$need"; done
}

# start DIR LIMIT FILE [PREFIX...]: run() of a case, in the background, in a process group of its own
# (timeout makes it). The last of $groups is that group. The prefix is a command before bash.
start() {
  local dir=$1 limit=$2 file=$3
  shift 3
  mkdir -p "$dir/home"
  (
    ulimit -v "$limit" && cd "$dir/home" || exit 125
    export HOME=$PWD TMPDIR=$PWD
    # shellcheck disable=SC2016  # the inner bash expands it
    exec timeout -k 5 "$seconds" "$@" bash -euo pipefail -c '. "$0"; run' "$file"
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

# Paths of the run become DIR, those of the project relative, addresses in messages ADDRESS, process numbers of bash's complaints N.
normalise() {
  sed -i "s#$1/home#DIR#g" "$1/stdout" "$1/stderr"
  sed -i -E -e "s#$root/##g" -e 's/0x[0-9a-f]{6,}/ADDRESS/g' -e 's/(: line [0-9]+:) +[0-9]+ /\1 N /' "$1/stderr"
}

# difference PLAIN OURS: nothing if status, standard error and output are the same.
difference() {
  local part
  for part in status stderr stdout; do
    diff -a -U1 --label "without" --label "with our library ($part)" "$1/$part" "$2/$part"
  done
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
