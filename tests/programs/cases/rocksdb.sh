# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# rocksdb's own benchmark: writes, compactions in threads of its own, reads, scans.
needs="db_bench ldb"
only=all
compares="which operations completed, and the keys that were found; not the rates"
run() {
  local keys=10000
  [ "$level" = quick ] || keys=60000
  local options=(--db="$PWD/db" --num="$keys" --seed=1 --value_size=200 --write_buffer_size=2000000
    --max_background_jobs=2 --compression_type=none --disable_wal=1 --wal_dir="$PWD/db")
  db_bench "${options[@]}" --benchmarks=fillseq,overwrite,readrandom,seekrandom,deleterandom,compact,readseq,multireadrandom \
    >log 2>errors || { echo "status $?" && tail -n 5 errors; }
  sed -nE 's/^([a-z]+) +:.*(\([0-9]+ of [0-9]+ found\)).*/\1 \2/p; t; s/^([a-z]+) +:.*/\1 completed/p' log
  ldb --db=db checkconsistency
  ldb --db=db scan --hex --max_keys=20000 | cut -d ' ' -f 1 | sha256sum
  db_bench "${options[@]}" --threads=2 --benchmarks=fillrandom,readrandom,updaterandom >log 2>errors ||
    { echo "status $?" && tail -n 5 errors; }
  sed -nE 's/^([a-z]+) +:.*/\1 completed/p' log
}
