#!/usr/bin/env bash
# A limit of memory that is lowered below what is mapped while the program runs: RLIMIT_AS, RLIMIT_DATA.
# What is open stays usable, more is NULL and ENOMEM, and when the limit is lifted it goes on.
. "$(dirname "$0")/support/common.bash"
compile limits_later limits_later.c
for kind in as data; do
  for delay in 0 1000; do
    with MIMALLOC_PURGE_DELAY=$delay timeout 60 ./limits_later $kind 2>err || {
      cat err
      fail "RLIMIT_${kind^^}, purge delay $delay: status $?"
    }
  done
done
