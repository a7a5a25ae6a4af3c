#!/usr/bin/env bash
# P27: with 32 bits, at least 85 % of the address space is to be had in blocks of 1 MiB, by programs that
# are position-independent (they lie in the middle of it) and others. Others find addresses, too.
. "$(dirname "$0")/support/common.bash"
[ "${MI_BITS:-64}" = 32 ] || skip "a promise for 32 bits"
compile pie address_space.c -pie -fPIE
compile no-pie address_space.c -no-pie
compile static address_space.c "${lib%.so}.a" -static

ulimit -c 0
MIMALLOC_SHOW_ERRORS=0 with ./pie 85 || fail "position-independent: status $?"
MIMALLOC_SHOW_ERRORS=0 with ./no-pie 85 || fail "not position-independent: status $?"
MIMALLOC_SHOW_ERRORS=0 ./static 85 || fail "static: status $?"
(ulimit -s unlimited && MIMALLOC_SHOW_ERRORS=0 with ./pie 85) || fail "no limit on the stack: status $?"
(ulimit -s $((512 * 1024)) && MIMALLOC_SHOW_ERRORS=0 with ./pie 75) || fail "512 MiB of stack: status $?"
