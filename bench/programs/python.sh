# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# python: json, regular expressions, dictionaries, sorting, threads; small blocks come from python's own arenas.
needs="/usr/bin/python3"
# Where its quiet is watched, it rests when the script is done and its data are gone.
rests='import os, runpy, sys, time; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name="__main__"); time.sleep(float(os.environ["BENCH_QUIET"]))'
run() { measured /usr/bin/python3 ${BENCH_QUIET:+-c "$rests"} "$data/sales.py" "${orders:-120000}" | sha256sum; }
