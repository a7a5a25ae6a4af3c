# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# memcached: four threads on a unix socket, values of many sizes, evictions, a flush.
needs="memcached perl"
run() {
  local user=()
  [ "$(id -u)" -ne 0 ] || user=(-u nobody)
  mkdir -m 777 open
  serve memcached "${user[@]}" -s "$PWD/open/sock" -a 777 -m 48 -t 4 -I 2m
  until_ready test -S open/sock
  timed perl "$data/cache.pl" open/sock 8
  stop_server TERM any_status
}
