# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# lua5.4: tables, strings, coroutines, both collectors; all of its memory goes through realloc.
needs="lua5.4"
run() {
  lua5.4 "$data/lists.lua"
  lua5.4 -e 'print(pcall(string.rep, "x", 1 << 60))'
}
