# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# python with each object from malloc.
needs="/usr/bin/python3"
run() { PYTHONMALLOC=malloc measured /usr/bin/python3 "$data/sales.py" 90000 | sha256sum; }
