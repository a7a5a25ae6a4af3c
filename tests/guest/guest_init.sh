#!/bin/sh
# shellcheck shell=dash disable=SC3045
# /init of the virtual machines of run.sh: runs the cases that the kernel's command line names, says how
# they went, and switches the machine off. Busybox is all there is.
export PATH=/bin
/bin/busybox --install -s /bin
echo  # below what the firmware wrote
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mib=$(sed -n 's/.*mib=\([0-9]*\).*/\1/p' /proc/cmdline)
cases=$(sed -n 's/.*cases=\([a-z_,]*\).*/\1/p' /proc/cmdline | tr , ' ')

check() { # WHAT COMMAND...
  local what=$1 status
  shift
  "$@" >/tmp/said 2>&1
  status=$?
  if [ $status -eq 0 ]; then
    echo "ok   $what: $(tail -n 1 /tmp/said)"
  else
    echo "FAIL $what: status $status: $(tail -n 2 /tmp/said)"
  fi
}
set_kernel() { echo "$2" >"/proc/sys/vm/$1" || echo "FAIL cannot set vm.$1"; }

kib_of() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }

# No page is promised twice: what is open is charged, what is reserved is not. Half of the memory may be
# committed, three quarters of what is left of that must be to be had.
overcommit() {
  local least
  set_kernel overcommit_memory 2
  set_kernel overcommit_ratio 50
  least=$((($(kib_of CommitLimit) - $(kib_of Committed_AS)) * 3 / 4 / 1024))
  for size in 100 3000 40000 1000000; do
    check "strict overcommit, blocks of $size, at least $least MiB" limits $size $least
  done
  MIMALLOC_PURGE_DELAY=0 check "strict overcommit, eager purge" limits 3000 $least
  dmesg | grep -i -E 'out of memory|oom-kill' && echo "FAIL the OOM killer came"
  set_kernel overcommit_memory 0
}

few_mappings() {
  local before
  before=$(cat /proc/sys/vm/max_map_count)
  for count in 1000 100 40; do
    set_kernel max_map_count $count
    check "$count mappings" mappings
  done
  set_kernel max_map_count "$before"
}

stays_small() {
  local plain ours
  plain=$(small_plain | tail -n 1)
  ours=$(small | tail -n 1)
  echo "a small program has $plain KiB without us, $ours KiB with us"
  [ "$ours" -le $((plain + 256)) ]
}
huge_pages() {
  local thp=/sys/kernel/mm/transparent_hugepage/enabled
  for mode in madvise always; do
    echo $mode >$thp || echo "FAIL cannot set huge pages to $mode"
    check "huge pages $mode" stays_small
  done
  [ "$mib" -lt 512 ] || check "huge pages always, RLIMIT_DATA lowered" limits_later data
  echo madvise >$thp
}

# A service of 20 MB, half of which was freed, while the kernel collects huge pages as eagerly as it can.
service_stays_small() {
  local thp=/sys/kernel/mm/transparent_hugepage never always
  echo 10 >$thp/khugepaged/scan_sleep_millisecs
  echo 100000 >$thp/khugepaged/pages_to_scan
  echo never >$thp/enabled
  never=$(small 20 | tail -n 1)
  echo always >$thp/enabled
  always=$(small 20 | tail -n 1)
  echo madvise >$thp/enabled
  echo "a service has $never KiB with huge pages never, $always KiB always"
  [ "$always" -le $((never * 11 / 10)) ]
}
service() { check "a service of 20 MB" service_stays_small; }

# Version 2. A load that wants more than its group has lives on with the limit, and is killed without it.
in_group() { sh -c 'echo $$ >/sys/fs/cgroup/mi/cgroup.procs && exec "$@"' sh "$@"; }
oom_kills() { sed -n 's/^oom_kill //p' /sys/fs/cgroup/mi/memory.events; }
limited_load() {
  export MIMALLOC_CGROUP_LIMIT=auto MIMALLOC_SHOW_ERRORS=0
  in_group cgroup 80 3 4 && [ "$(oom_kills)" -eq 0 ]
}
killed_load() {
  unset MIMALLOC_CGROUP_LIMIT
  in_group cgroup 80 3 4
  [ "$(oom_kills)" -gt 0 ]
}
control_group() {
  mount -t cgroup2 none /sys/fs/cgroup || echo "FAIL no cgroup2"
  echo +memory >/sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/mi
  echo 64M >/sys/fs/cgroup/mi/memory.max || echo "FAIL no memory controller"
  check "a control group of 64 MiB" limited_load
  check "the same without a limit of ours" killed_load
}

# Here, other than on many hosts, RLIMIT_MEMLOCK can be lifted without giving the right to lock.
locked_memory() {
  for flags in current future both onfault; do
    check "root" memory_lock late $flags
    check "nobody, no limit" su -s /bin/sh nobody -c "memory_lock late $flags"
  done
}

filtered() {
  for mode in enosys advice kill; do check "filter $mode" seccomp $mode; done
}

ulimit -l unlimited
for case in $cases; do $case; done
echo "guest is done"
poweroff -f
