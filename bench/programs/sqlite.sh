# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# sqlite: 200 000 rows, joins, sorts, windows, json, VACUUM, in memory; its script ends with an error on purpose.
needs="sqlite3"
run() {
  # shellcheck disable=SC2016  # the inner shell expands it
  measured sh -c 'sqlite3 :memory: <"$0" || [ $? -eq 1 ]' "$data/tables.sql" 2>/dev/null | sha256sum
}
