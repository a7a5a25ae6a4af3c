#!/usr/bin/env bash
# Show a real program on our allocator: its output, whether anything in it changed, what the allocator
# did, and time and peak memory beside the system's allocator. `make run` builds the library first.
# usage: tools/run.sh [COMMAND [ARGUMENT...]]
#   One word is a line for sh -c, several are a command and its arguments; none: our own example
#   (python3 over tests/programs/data/sales.py, then redis-server if it is installed).
# The command is run seven times, with no input, so it should not change anything it reads.
# MI_OUT is the folder with libmimalloc.so (out/release). The status is 1 if the output differs.
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD
lib=$(realpath -m "${MI_OUT:-out/release}/libmimalloc.so")
[ -f "$lib" ] || { echo "run.sh: no $lib: make release builds it" >&2; exit 2; }
work=$(mktemp -d "${TMPDIR:-/tmp}/mi-run.XXXXXX")
server=""  # the redis-server that runs now
# shellcheck disable=SC2317  # the trap calls it
clean() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
unset LD_PRELOAD
same=0  # 1 if something differed

heading() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }

# A part of a file, and how much more there is.
excerpt() { # FILE LINES [PREFIX]
  head -n "$2" "$1" | sed "s/^/${3-}/"
  local lines
  lines=$(wc -l <"$1")
  [ "$lines" -le "$2" ] || echo "${3-}... and $((lines - $2)) more lines"
}

# The account can be long: its head and its end.
account() {
  if [ "$(wc -l <"$1")" -le 32 ]; then
    sed 's/^/  /' "$1"
  else
    head -n 8 "$1" | sed 's/^/  /'
    echo "      ..."
    tail -n 22 "$1" | sed 's/^/  /'
  fi
}

# The middle value of column N of a file.
median() { sort -n -k "$2,$2" "$1" | awk -v n="$2" '{ v[NR] = $n } END { print v[int((NR + 1) / 2)] }'; }

# "3 % less", of one number beside another. The numbers can be fractions.
beside() {
  awk -v ours="$1" -v theirs="$2" 'BEGIN {
    if (theirs <= 0) { print "-"; exit }
    d = 100 * (ours - theirs) / theirs
    if (d >= 0.5) printf "%.0f %% more", d
    else if (d <= -0.5) printf "%.0f %% less", -d
    else print "the same" }'
}

row() { printf '  %-22s %14s %14s   %s\n' "$@"; }

# --- any command ------------------------------------------------------------------------------

build_measure() {
  local cc
  for cc in "${CC:-}" cc gcc clang; do
    command -v "${cc:-/}" >/dev/null || continue
    "$cc" -O1 -static "$root/tools/measure.c" -o "$work/measure" 2>/dev/null && return
    "$cc" -O1 "$root/tools/measure.c" -o "$work/measure" && return
  done
  echo "run.sh: no C compiler for tools/measure.c" >&2
  exit 2
}

# run_once NAME: $command with LD_PRELOAD=$2 (may be empty); adds a line to $work/NAME.
run_once() {
  "$work/measure" ${2:+-p "$2"} "$work/$1" "${command[@]}" </dev/null >"$work/$1.out" 2>"$work/$1.err"
  echo "exit status $?" >"$work/$1.status"
}

differs() { # the streams in which two runs differ
  local stream
  for stream in out err status; do
    cmp -s "$work/$1.$stream" "$work/$2.$stream" || echo "$stream"
  done
}

tell_differences() {
  local steady
  steady=$(differs plain plain-again)
  if [ -z "$(differs plain ours)" ]; then
    echo "identical to the run without us: standard output, standard error, $(cat "$work/ours.status")"
  elif [ -n "$steady" ]; then
    echo "cannot be compared: it differs from run to run without us, too (in: ${steady//$'\n'/, })"
  else
    same=1
    echo "DIFFERENT from the run without us:"
    for stream in out err status; do
      diff -a -U0 --label without --label with "$work/plain.$stream" "$work/ours.$stream" | head -n 12
    done
  fi
}

show_program() {
  for turn in 1 2 3; do # interleaved, so that what else the machine does hits both alike
    if [ "$turn" = 3 ]; then
      for stream in out err status; do mv "$work/plain.$stream" "$work/plain-again.$stream"; done
    fi
    run_once plain ""
    run_once ours "$lib"
  done
  MIMALLOC_SHOW_STATS=1 run_once stats "$lib"

  heading "What it prints on our allocator"
  excerpt "$work/ours.out" 60
  if [ -s "$work/ours.err" ]; then excerpt "$work/ours.err" 10 "stderr: "; fi
  heading "Is that what it prints otherwise?"
  tell_differences
  heading "What the allocator did (MIMALLOC_SHOW_STATS=1)"
  if grep -v -x -F -f "$work/ours.err" "$work/stats.err" >"$work/account" && [ -s "$work/account" ]; then
    account "$work/account"
  else
    echo "  no account: this program does not end through exit, or closes its standard error"
  fi
  heading "What it took (median of 3 runs each, interleaved)"
  local seconds=1 rss=4 faults=5
  row "" ours system "ours is"
  row "seconds" "$(median "$work/ours" $seconds)" "$(median "$work/plain" $seconds)" \
    "$(beside "$(median "$work/ours" $seconds)" "$(median "$work/plain" $seconds)")"
  row "peak RSS, KiB" "$(median "$work/ours" $rss)" "$(median "$work/plain" $rss)" \
    "$(beside "$(median "$work/ours" $rss)" "$(median "$work/plain" $rss)")"
  row "page faults" "$(median "$work/ours" $faults)" "$(median "$work/plain" $faults)" \
    "$(beside "$(median "$work/ours" $faults)" "$(median "$work/plain" $faults)")"
}

# --- our own example --------------------------------------------------------------------------

# The best language that is there; awk is everywhere.
choose_example() {
  local data=tests/programs/data
  if command -v python3 >/dev/null; then
    export PYTHONMALLOC=malloc
    command=("$(python3 -c 'import sys; print(sys.executable)')" "$data/sales.py" 100000)
    heading "python3 $data/sales.py (PYTHONMALLOC=malloc: every object comes from malloc)"
  elif command -v perl >/dev/null; then
    command=(perl "$data/words.pl")
    heading "perl $data/words.pl"
  else
    command=(awk 'BEGIN { srand(1)
      for (i = 0; i < 400000; i++) { k = int((i * 7919) % 100003); s[k] = s[k] "," i; n[length(s[k])]++ }
      for (i = 1; i <= 40; i++) if (i in n) print "length", i, n[i] }')
    heading "awk building strings in arrays"
  fi
}

# start_redis LIBRARY: on a unix socket in $work; sets $server.
start_redis() {
  local preload=$1
  env ${preload:+LD_PRELOAD="$preload"} redis-server --port 0 --unixsocket "$work/redis.sock" \
    --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    [ "$(redis-cli -s "$work/redis.sock" PING 2>/dev/null)" = PONG ] && return
    sleep 0.05
  done
  return 1
}

# redis_once NAME LIBRARY: a line "SET GET LPUSH requests per second, peak KiB" to $work/NAME, and
# the replies to a fixed script to NAME.replies.
redis_once() {
  if ! start_redis "$2"; then
    cat "$work/redis.log"
    return 1
  fi
  redis-cli -s "$work/redis.sock" <tests/programs/data/replies.redis >"$work/$1.replies"
  redis-benchmark -s "$work/redis.sock" -n 200000 -P 8 -d 200 -r 50000 -t set,get,lpush --csv 2>/dev/null |
    awk -F '"' 'NR > 1 { printf "%d ", $4 }' >>"$work/$1"
  awk '/^VmHWM/ { print $2 }' "/proc/$server/status" >>"$work/$1"
  redis-cli -s "$work/redis.sock" SHUTDOWN NOSAVE >/dev/null 2>&1
  wait "$server" 2>/dev/null
  server=""
}

show_redis() {
  heading "redis-server under redis-benchmark (its own allocator is jemalloc)"
  for _ in 1 2 3; do
    if ! redis_once redis-plain "" || ! redis_once redis-ours "$lib"; then
      same=1
      echo "redis-server did not start"
      return
    fi
  done
  if cmp -s "$work/redis-plain.replies" "$work/redis-ours.replies"; then
    echo "its $(wc -l <"$work/redis-ours.replies") lines of replies to a script are identical to those without us"
  else
    same=1
    echo "its replies DIFFER from those without us:"
    diff -a -U0 --label without --label with "$work/redis-plain.replies" "$work/redis-ours.replies" | head -n 12
  fi
  row "" ours "its own" "ours is"
  local column=0 name
  for name in "SET, requests/s" "GET, requests/s" "LPUSH, requests/s" "peak RSS, KiB"; do
    column=$((column + 1))
    row "$name" "$(median "$work/redis-ours" $column)" "$(median "$work/redis-plain" $column)" \
      "$(beside "$(median "$work/redis-ours" $column)" "$(median "$work/redis-plain" $column)")"
  done
}

build_measure
case $# in
  0) choose_example ;;
  1) command=(sh -c "$1") && heading "$1" ;;
  *) command=("$@") && heading "$*" ;;
esac
show_program
if [ $# -eq 0 ]; then
  if command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null; then
    show_redis
  else
    printf '\nredis-server and redis-benchmark are not installed: left out\n'
  fi
fi
exit $same
