# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# Debian's python3 over a data-processing job: json, re, dict, sort, threads. Its own arenas first,
# then every object through malloc.
needs="/usr/bin/python3"
binaries="/usr/bin/python3"
run() {
  local orders=30000
  [ "$level" = quick ] || orders=120000
  /usr/bin/python3 "$data/sales.py" "$orders"
  echo "--- PYTHONMALLOC=malloc"
  PYTHONMALLOC=malloc /usr/bin/python3 "$data/sales.py" "$orders"
  echo "--- an error"
  /usr/bin/python3 -c 'import json; json.loads("{" * 50000)' || echo "status $?"
  echo "--- no memory"
  /usr/bin/python3 -c '
for size in 2**60, 2**62, 2**63 - 1:
    try:
        print(len(bytearray(size)))
    except MemoryError:
        print("MemoryError")'
}
