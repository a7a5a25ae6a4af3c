# shellcheck shell=bash disable=SC2034,SC2154  # shared variables
# For cases that start servers: source it in run(), as `. "$tests/server.sh"`.

# Goes before a command that must not run as root, or insists on another user.
as_user=()
if [ "$(id -u)" -eq 0 ]; then as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi

# serve COMMAND...: in the background; sets $server, and ends it with the case, whatever happens.
serve() {
  "$@" >>log 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
}

# until_ready COMMAND...: it succeeds when the server is there.
until_ready() {
  for _ in $(seq 400); do
    if "$@" >/dev/null 2>&1; then return; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.025
  done
  echo "the server did not start:" && tail -n 5 log
  return 1
}

# stop_server SIGNAL: ends it and says how it ended.
stop_server() {
  local status=0
  kill -"$1" "$server"
  wait "$server" || status=$?
  echo "the server stopped with status $status"
}

# A port that nobody listens on (the kernel's choice).
free_port() {
  perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# note_peak PID...: for the table, the peak of these processes instead of the largest of all.
note_peak() {
  local pid
  for pid in "$@"; do awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"; done >>"$HOME/peak"
}

# note_seconds N: for the table, what is to be compared instead of the time of the whole case.
note_seconds() { echo "$1" >"$HOME/seconds"; }
