#!/usr/bin/env bash
# Run one real program for the race: the program alone on the library, not the shells and clients around it.
#
# usage: bench/program.sh NAME REPORT [LIBRARY]      REPORT: where the line of tools/measure.c goes
#        bench/program.sh --missing NAME             what it needs and is not installed
#
# A program is a file programs/NAME.sh with
#   needs="COMMAND..."    what must be installed
#   run() { ... }         runs in an empty folder, prints the same every time, and calls `measured` or `serve` once
# It may use $data (inputs of tests/programs) and $root (the project).
# shellcheck disable=SC2154  # needs is the program's
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
export root data=$root/tests/programs/data tests=$root/tests/programs LC_ALL=C.UTF-8 TZ=UTC

# shellcheck source=/dev/null
load() { . "$here/programs/$1.sh"; }

if [ "${1-}" = --missing ]; then
  load "$2"
  for need in $needs; do [ -e "$need" ] || command -v "$need" >/dev/null || echo "$need"; done
  exit
fi
[ $# -ge 2 ] || { sed -n '2,/^# A/{/^# A/q;s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
name=$1 report=$2 library=${3-}
preload=()
[ -z "$library" ] || preload=(-p "$library")

# as_user, until_ready, free_port; what it has beside them stands again below.
# shellcheck source=../tests/programs/server.sh
. "$tests/server.sh"

# measured COMMAND...: what is raced.
measure=("$root/out/bench/measure" "${preload[@]}" -t 110 "$report")
measured() { "${measure[@]}" "$@"; }

# serve COMMAND...: the same for a server, in the background; it must stay in the foreground of that.
serve() {
  "${measure[@]}" "$@" >>log 2>&1 &
  server=$!
  trap 'kill "$(measured_process)" || true' EXIT
}

# The server itself: $server is the program that measures it.
measured_process() { tr -d ' ' 2>/dev/null <"/proc/$server/task/$server/children"; }

# timed COMMAND...: the load. What it takes is the time of the row; the rest is the server's.
timed() {
  local start=$EPOCHREALTIME
  "$@"
  took "$(awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.6f", end - start }')"
}

# took SECONDS: the time of the row, where the client knows better.
took() { echo "seconds $1" >>"$report"; }

# stop_server SIGNAL: after the quiet, if this is a watched run.
stop_server() {
  sleep "${BENCH_QUIET:-0}"
  kill -"$1" "$(measured_process)"
  wait "$server" || [ "${2-}" = any_status ]
  trap - EXIT
}

load "$name"
work=$(mktemp -d "${TMPDIR:-/tmp}/race-program.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 711 "$work" # servers may run as another user
cd "$work"
export HOME=$work TMPDIR=$work
(run)
