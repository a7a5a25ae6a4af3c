# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# python: json, regular expressions, dictionaries, sorting, threads; small blocks come from python's own arenas.
needs="/usr/bin/python3"
run() { measured /usr/bin/python3 "$data/sales.py" 120000 | sha256sum; }
