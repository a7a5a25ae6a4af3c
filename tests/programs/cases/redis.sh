# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# redis-server: redis-benchmark must complete, a script of commands must give the same replies, and
# the data must survive a BGSAVE (which forks) and a restart.
needs="redis-server redis-cli redis-benchmark"
socket=redis.sock  # in the folder of the run: no port to collide on

start_server() {
  redis-server --port 0 --unixsocket "$PWD/$socket" --dir "$PWD" --save '' --appendonly no \
    --enable-debug-command yes --daemonize no >>log 2>&1 &
  server=$!
  for _ in $(seq 200); do
    [ "$(cli PING 2>/dev/null)" = PONG ] && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "redis-server did not start:" && tail -n 5 log
  return 1
}
cli() { redis-cli -s "$socket" "$@"; }
stop_server() {
  cli SHUTDOWN NOSAVE >/dev/null 2>&1 || true
  wait "$server"
}
run() {
  local requests=4000
  [ "$level" = quick ] || requests=40000
  start_server
  trap 'kill "$server" 2>/dev/null || true' EXIT
  redis-benchmark -s "$socket" -n "$requests" -c 20 -P 4 -d 300 -r 5000 --csv \
    -t set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset >benchmark.csv
  awk -F, '{ print $1, ($2 != "\"0.00\"" ? "completed" : "stalled") }' benchmark.csv
  cli FLUSHALL
  cli <"$data/replies.redis"
  cli --pipe < <(awk 'BEGIN { for (i = 0; i < 30000; i++) printf "SET key:%d %0*d\r\n", i, i % 500 + 1, i }') | tail -n 1
  cli DEBUG DIGEST | tee digest
  cli BGSAVE
  while [ "$(cli LASTSAVE)" -gt 0 ] && cli INFO persistence | grep -q 'rdb_bgsave_in_progress:1'; do sleep 0.05; done
  cli INFO persistence | tr -d '\r' | grep rdb_last_bgsave_status
  stop_server
  echo "stopped with status $?"
  start_server
  cli DBSIZE
  cli DEBUG DIGEST | cmp - digest && echo "the same data after the restart"
  cli EVAL 'for i = 1, 30000 do redis.call("DEL", "key:" .. i) end return redis.call("DBSIZE")' 0
  cli MEMORY PURGE
  stop_server
  grep -c -i -E 'crash|assertion|bug report' log || true
}
