# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# A C++ program with threads and exceptions, compiled here: see threads.cpp.
needs="g++"
binaries="$shared/threads"
prepare() { g++ -std=c++17 -O2 -pthread "$root/tests/programs/threads.cpp" -o threads; }
run() {
  local rounds=2
  [ "$level" = quick ] || rounds=20
  for ((i = 0; i < rounds; i++)); do "$shared/threads"; done
}
