#!/usr/bin/env bash
# No mapping is left (vm.max_map_count): the allocator grows, purges and uses memory again without one.
# If that is so from before its start, it either starts or says NULL and ENOMEM, and starts later.
. "$(dirname "$0")/support/common.bash"
compile mappings mappings.c
for left in "" 0 4 8 10 14; do
  # shellcheck disable=SC2086  # none is no argument
  with MIMALLOC_PURGE_DELAY=0 timeout 60 ./mappings $left 2>err
  status=$?
  [ $status -ne 77 ] || skip "vm.max_map_count is $(cat /proc/sys/vm/max_map_count)"
  [ $status -eq 0 ] || { cat err && fail "with ${left:-none} left${left:+ before the start}: status $status"; }
done
