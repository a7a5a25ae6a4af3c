#!/usr/bin/env bash
# P6: in a control group (version 1; 2 where that has the memory controller) with 512 MiB a load that would need
# 600 lives on with MIMALLOC_CGROUP_LIMIT: allocations fail, nobody is killed; without it, the kernel kills it. And with
# MIMALLOC_MEMORY_PRESSURE=1 a process that waits gives back what is free when the group is short of memory.
# With a debug library the same with 128 and 150 MiB.
. "$(dirname "$0")/support/common.bash"
compile cgroup cgroup.c
limit=512 load=600
[ "$variant" != debug ] || { limit=128 && load=150; }

name=mi-test-$$
if mkdir "/sys/fs/cgroup/memory/$name" 2>/dev/null; then
  group=/sys/fs/cgroup/memory/$name file=memory.limit_in_bytes
elif [ -f /sys/fs/cgroup/cgroup.controllers ] && grep -qw memory /sys/fs/cgroup/cgroup.controllers &&
  mkdir "/sys/fs/cgroup/$name" 2>/dev/null; then
  group=/sys/fs/cgroup/$name file=memory.max
else
  skip "no memory controller that we may use"
fi
trap 'rmdir "$group"; rm -rf "$work"' EXIT
[ -f "$group/$file" ] && echo $((limit << 20)) >"$group/$file" 2>/dev/null || skip "the controller cannot be used"

# in_group COMMAND...: only the command's own process is in the group.
in_group() {
  bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}
kills() { cat "$group/memory.oom_control" "$group/memory.events" 2>/dev/null | awk '$1 == "oom_kill" { print $2 }'; }
peak() { cat "$group/memory.max_usage_in_bytes" "$group/memory.peak" 2>/dev/null | head -n 1; }

# survives EXPECTED-FAILURES VARIABLE...: the load, with these variables.
survives() {
  local before
  before=$(kills)
  in_group env LD_PRELOAD="$lib" MIMALLOC_SHOW_ERRORS=0 "$@" timeout 100 ./cgroup $load 6 4 >said 2>err ||
    complain err "$*: status $?"
  echo "$*: $(cat said), $(($(kills) - before)) OOM kills, the group's peak is $(($(peak) >> 20)) of $limit MiB"
  [ "$(kills)" -eq "$before" ] || complain said "$*: somebody was killed"
  grep -q '^0 allocations' said && complain said "$*: nothing failed"
}
survives MIMALLOC_CGROUP_LIMIT=auto
survives MIMALLOC_CGROUP_LIMIT=90% MIMALLOC_PURGE_DELAY=-1
survives MIMALLOC_LIMIT_HARD=$((limit * 15 / 16))M MIMALLOC_LIMIT_SOFT=$((limit / 2))M
[ "$variant" = release ] && survives MIMALLOC_CGROUP_LIMIT=auto MIMALLOC_SECURE=4

# Memory that waits to be purged goes back when the group is short of memory: here of pages for a file.
# under_pressure STATUS VARIABLE...
under_pressure() {
  local expected=$1 status i
  shift
  in_group env LD_PRELOAD="$lib" MIMALLOC_PURGE_DELAY=600000 MIMALLOC_PURGE_THREAD=2 "$@" timeout 60 ./cgroup pressure $((limit / 2)) >said 2>err &
  for ((i = 0; i < 200; i++)); do grep -q ready said && break || sleep 0.02; done
  in_group dd if=/dev/zero of=file bs=1M count=$((limit * 3 / 4)) status=none
  wait $!
  status=$?
  rm -f file
  echo "$*: $(tail -n 1 said)"
  [ $status -eq "$expected" ] || complain err "$*: status $status"
}
under_pressure 0 MIMALLOC_MEMORY_PRESSURE=1
under_pressure 5 MIMALLOC_MEMORY_PRESSURE=0

# It is the limit that does it.
before=$(kills)
in_group env LD_PRELOAD="$lib" timeout 100 ./cgroup $load 6 4 >said 2>err
status=$?
if [ $status -eq 0 ] || [ "$(kills)" -eq "$before" ]; then complain said "without a limit: status $status, not killed"; fi
[ $bad -eq 0 ]
