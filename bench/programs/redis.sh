# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# redis: values of 300 bytes, lists, sets, hashes, sorted sets, 5000 keys of each, then all of it is deleted.
# Debian's is linked to jemalloc: without a library it gets the C library's malloc by preloading that.
needs="redis-server redis-cli redis-benchmark"
cli() { redis-cli -s redis.sock "$@"; }
load_it() {
  redis-benchmark -s redis.sock -n 60000 -c 20 -P 8 -d 300 -r 5000 --csv \
    -t set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset >benchmark.csv
}
run() {
  [ -n "$library" ] || measure=("$root/out/bench/measure" -p "$(gcc -print-file-name=libc.so.6)" -t 110 "$report")
  serve redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save '' --appendonly no --daemonize no
  until_ready cli PING
  timed load_it
  cli FLUSHALL
  awk -F, '{ print $1, ($2 != "\"0.00\"" ? "completed" : "stalled") }' benchmark.csv
  stop_server TERM
}
