# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# postgresql: initdb, then a server on a unix socket under pgbench and some larger queries.
bin=$(compgen -G '/usr/lib/postgresql/*/bin/pgbench' | sort -V | tail -n 1) || true
bin=$(dirname "${bin:-/nowhere/pgbench}")
needs="$bin/initdb $bin/postgres $bin/pgbench $bin/psql"
only=all
compares="what initdb says, the contents of tables after pgbench (fixed seeds), results of queries; not
  pgbench's rates. Peak RSS is that of the largest process, shared buffers included"

sql() { "$bin/psql" -X -q -A -t -h "$PWD/sock" -U postgres -d postgres "$@"; }

run() {
  # shellcheck source=/dev/null
  . "$tests/server.sh"
  local transactions=100 scale=1
  [ "$level" = quick ] || transactions=1500 scale=3
  mkdir db sock
  [ "$(id -u)" -ne 0 ] || chown nobody:nogroup db sock
  "${as_user[@]}" "$bin/initdb" -D db -U postgres -A trust -N --no-instructions --locale=C -E UTF8 | sed 's/\.\.\. [0-9].*/.../'
  serve "${as_user[@]}" "$bin/postgres" -D "$PWD/db" -k "$PWD/sock" -c listen_addresses= -c fsync=off -c shared_buffers=32MB
  until_ready "$bin/psql" -h "$PWD/sock" -U postgres -d postgres -c 'select 1'
  "$bin/pgbench" -h "$PWD/sock" -U postgres -i -q -s "$scale" postgres >pgbench.log 2>&1
  "$bin/pgbench" -h "$PWD/sock" -U postgres -n -c 4 -j 2 -t "$transactions" --random-seed=1 postgres >pgbench.log 2>&1
  grep -E 'transactions (actually )?processed|failed' pgbench.log
  sql -f "$data/queries.sql" -v rows="$((transactions * 200))"
  sql -c 'select nothing' 2>&1 || echo "status $?"
  note_peak "$server"
  stop_server INT
  grep -c -E 'PANIC|terminated by signal' log || true
}
