# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# The rest of python's tests that matter to an allocator: subprocess, multiprocessing (started by fork: its
# queues, pools, locks, shared memory), mmap. They mostly wait. And python's sqlite3 (Debian does not ship
# its tests): a script of our own.
needs="/usr/bin/python3 /usr/lib/python3.11/test/test_mmap.py"
only=all
binaries="/usr/bin/python3"
rounds=1
compares="the result of each test; not the times, most of which are waiting"
run() {
  local modules=(test.test_threadedtempfile test.test_fork1) status=0
  # mmap fails at ulimit -v 4 GiB by itself.
  if [ "$(ulimit -v)" = unlimited ]; then modules+=(test.test_mmap); fi
  if [ "$level" = all ]; then modules+=(test.test_subprocess test.test_queue); fi
  /usr/bin/python3 -m unittest -v "${modules[@]}" >log 2>&1 || status=$?
  results log
  echo "status $status"
  status=0
  local only=(-k TestPool -k ProcessesTestQueue -k TestLock -k TestArray -k TestSharedMemory -k TestManager)
  if [ "$level" = quick ]; then only=(-k ProcessesTestPool -k TestArray -k TestSharedMemory); fi
  /usr/bin/python3 -m unittest -v "${only[@]}" test.test_multiprocessing_fork >log 2>&1 || status=$?
  results log
  echo "status $status"
  /usr/bin/python3 "$data/database.py"
}
# From the log of unittest, "name (where) ... what happened", which may be torn by what a test prints: how
# many, and the names of all that did not pass.
results() {
  grep -E '^Ran [0-9]+ tests|^(OK|FAILED)' "$1" | sed -E 's/ in [0-9.]+s//'
  grep -E '^(FAIL|ERROR): ' "$1" | sort || true
}
