#!/usr/bin/env bash
# mlockall, before the allocator starts and later, as it is and without privileges: what is only reserved
# is not locked, so the RSS stays small, and allocation goes on. Without the right to lock, the kernel
# counts the reservation against RLIMIT_MEMLOCK: mlockall may fail, and if it came first (MCL_FUTURE),
# malloc may say no from the start, cleanly.
. "$(dirname "$0")/support/common.bash"
compile memory_lock memory_lock.c
chmod 755 "$work"

# try ALLOWED-STATUS COMMAND...
try() {
  local allowed=$1 status
  shift
  with timeout 60 "$@" 2>err
  status=$?
  case $status in
    0 | "$allowed") ;;
    *) bad=$((bad + 1)) && echo "FAIL status $status: $*" && head -n 5 err ;;
  esac
}

# With privileges malloc never says no; without them it may.
may_say_no=3
[ "$(id -u)" -eq 0 ] && may_say_no=0
for when in early late; do
  for flags in current future both onfault; do
    try $may_say_no ./memory_lock $when $flags
  done
done

nobody=(setpriv --reuid 65534 --clear-groups --bounding-set -all --inh-caps -all)
if [ "$(id -u)" -eq 0 ] && "${nobody[@]}" test -r "$lib" 2>/dev/null; then
  for kib in 0 64 8192 unlimited; do
    (ulimit -l $kib) 2>/dev/null || { echo "ulimit -l $kib is not allowed here" && continue; }
    echo "without privileges, ulimit -l $kib:"
    for when in early late; do
      for flags in current future both; do
        (ulimit -l $kib && try 3 "${nobody[@]}" ./memory_lock $when $flags && exit "$bad") || bad=$((bad + 1))
      done
    done
  done
else
  echo "not root, or nobody cannot read $lib: no run without privileges"
fi
[ "$bad" -eq 0 ] || fail "$bad cases"
