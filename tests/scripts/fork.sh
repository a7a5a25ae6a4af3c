#!/usr/bin/env bash
# Threads allocate while the process forks 200 times: every child can allocate, free its parent's
# blocks, start a thread and end; none hangs.
. "$(dirname "$0")/support/common.bash"
compile fork fork.c
with timeout 100 ./fork 200 || fail "status $? (124: the parent hangs)"
