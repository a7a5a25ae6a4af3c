#!/usr/bin/env bash
# P25: a core dump holds what is resident, and little more: on disk at most 1.1 times the RSS, by its size at most
# 1.5 times and 64 MiB. By its size only as long as the heap is not much smaller than it was: what was given back stays
# open, and is a hole in the file (docs/memory.md).
. "$(dirname "$0")/support/common.bash"
compile core core.c "$lib"
export LD_LIBRARY_PATH=${lib%/*} MIMALLOC_SHOW_ERRORS=0
ulimit -c unlimited 2>/dev/null || skip "core dumps are not allowed here"
case $(cat /proc/sys/kernel/core_pattern) in
  core | core.%p | %e.core) ;;
  *) skip "core dumps go elsewhere here" ;;
esac

# dump MIB KEPT
dump() {
  local rss size disk core
  rm -f ./core.* core.dump
  mkdir -p dump && cd dump || exit 1
  ../core "$1" "$2" >../said 2>../err
  core=$(compgen -G '*core*' | head -n 1)
  [ -n "$core" ] || skip "no core dump was written"
  rss=$(cat ../said)
  size=$(($(stat -c %s "$core") / 1024))
  disk=$(($(stat -c %b "$core") / 2))
  rm -f "$core"
  cd ..
  echo "$1 MiB, 1 of $2 kept: $rss KiB resident, the core has $disk KiB on disk, $size KiB by its size"
  [ $((disk * 10)) -le $((rss * 11)) ] || complain err "on disk: more than 1.1 times"
  [ "$2" -gt 1 ] || [ "$size" -le $((rss * 3 / 2 + 64 * 1024)) ] || complain err "by its size: more than 1.5 times and 64 MiB"
}
dump 100 1
dump 400 1
dump 400 10
[ $bad -eq 0 ]
