# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# sqlite3: 200 000 rows, joins, sorts, windows, json, VACUUM; a database in a file and one in memory.
needs="sqlite3"
run() {
  sqlite3 shop.db <"$data/tables.sql" || echo "status $?"
  sqlite3 shop.db .dump | sha256sum
  [ "$level" = quick ] || sqlite3 :memory: <"$data/tables.sql" || echo "status $?"
}
