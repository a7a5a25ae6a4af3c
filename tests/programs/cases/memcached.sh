# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# memcached on a unix socket, with four threads: values of many sizes, evictions, expiry, a flush.
needs="memcached perl"
only=all
binaries="memcached"
compares="replies to a fixed script; peak RSS of the server"
run() {
  # shellcheck source=/dev/null
  . "$tests/server.sh"
  local user=() rounds=1
  [ "$level" = quick ] || rounds=6
  [ "$(id -u)" -ne 0 ] || user=(-u nobody)
  mkdir -m 777 open
  serve memcached "${user[@]}" -s "$PWD/open/sock" -a 777 -m 48 -t 4 -I 2m
  until_ready test -S open/sock
  perl "$data/cache.pl" open/sock "$rounds"
  note_peak "$server"
  stop_server TERM
}
