#!/usr/bin/env bash
# P1: our thread is gone when the library is unloaded; and a server that forgets all it had (redis: FLUSHALL)
# and then serves nobody gives the memory back, as tests/stress/promise_01.c shows it of programs of our own.
. "$(dirname "$0")/support/common.bash"
compile copies copies.c -ldl
MALLOC_ARENA_MAX=1 timeout 60 ./copies quiet "$lib" 20 >said 2>err || complain err "copies quiet: status $?"
cat said

if [ "$variant" != release ] || [ "$bits" != 64 ] || ! command -v redis-server >/dev/null; then
  echo "redis: left out"
  [ $bad -eq 0 ]
  exit
fi
cli() { redis-cli -s "$work/redis.sock" "$@"; }
rss_mib() { awk '/^Rss:/ { print int($2 / 1024) }' "/proc/$server/smaps_rollup"; }

# redis_row NAME LIBRARY...: resident memory before, with 200 000 keys, and 2.5 s after they were deleted.
redis_row() {
  local name=$1 empty full quiet i
  shift
  env LD_PRELOAD="$*" redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' --appendonly no \
    --enable-debug-command yes --daemonize no >log 2>&1 &
  server=$!
  for ((i = 0; i < 200; i++)); do
    [ "$(cli PING 2>/dev/null)" = PONG ] && break
    sleep 0.05
  done
  empty=$(rss_mib)
  cli DEBUG POPULATE 200000 key 200 >/dev/null
  full=$(rss_mib)
  cli FLUSHALL >/dev/null
  sleep 2.5
  quiet=$(rss_mib)
  cli SHUTDOWN NOSAVE >/dev/null 2>&1
  wait "$server"
  left=$((quiet - empty))
  taken=$((full - empty))
  echo "redis on $name: $empty MiB empty, $full MiB full, $quiet MiB after FLUSHALL and 2.5 s"
}
jemalloc=$(echo /usr/lib/*/libjemalloc.so.2)
if [ -f "$jemalloc" ]; then redis_row jemalloc "$jemalloc"; fi
redis_row mimalloc "$lib"
if [ $taken -lt 30 ]; then complain log "redis took no more than $taken MiB"; fi
if [ $((left * 10)) -gt $taken ]; then complain log "$left MiB of $taken MiB are left (<= 10 %)"; fi
[ $bad -eq 0 ]
