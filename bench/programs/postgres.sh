# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# postgres: pgbench by four clients, and some larger queries.
bin=$(compgen -G '/usr/lib/postgresql/*/bin/pgbench' | sort -V | tail -n 1) || true
bin=$(dirname "${bin:-/nowhere/pgbench}")
needs="$bin/initdb $bin/postgres $bin/pgbench $bin/psql"
load_it() {
  "$bin/pgbench" -h "$PWD/sock" -U postgres -n -c 4 -j 2 -t 800 --random-seed=1 postgres >pgbench.log 2>&1
  "$bin/psql" -X -q -A -t -h "$PWD/sock" -U postgres -d postgres -f "$data/queries.sql" -v rows=150000 | sha256sum
}
run() {
  mkdir db sock
  [ "$(id -u)" -ne 0 ] || chown nobody:nogroup db sock
  "${as_user[@]}" "$bin/initdb" -D db -U postgres -A trust -N --no-instructions --locale=C -E UTF8 >initdb.log
  serve "${as_user[@]}" "$bin/postgres" -D "$PWD/db" -k "$PWD/sock" -c listen_addresses= -c fsync=off -c shared_buffers=32MB
  until_ready "$bin/psql" -h "$PWD/sock" -U postgres -d postgres -c 'select 1'
  "$bin/pgbench" -h "$PWD/sock" -U postgres -i -q -s 2 postgres >pgbench.log 2>&1
  timed load_it
  grep -E 'transactions (actually )?processed' pgbench.log
  stop_server INT
}
