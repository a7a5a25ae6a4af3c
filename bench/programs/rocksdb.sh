# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# rocksdb: its own benchmark; writes, compactions in threads of its own, reads, scans. Its last one waits for 5 seconds,
# whatever the quiet is.
needs="db_bench"
run() {
  measured db_bench --db="$PWD/db" --wal_dir="$PWD/db" --num=60000 --seed=1 --value_size=200 --write_buffer_size=2000000 \
    --max_background_jobs=2 --compression_type=none --disable_wal=1 \
    --benchmarks=fillseq,overwrite,readrandom,seekrandom,deleterandom,compact,readseq,multireadrandom${BENCH_QUIET:+,waitforcompaction} >log 2>errors
  sed -nE 's/^([a-z]+) +:.*/\1 completed/p' log
}
