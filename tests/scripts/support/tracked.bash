# shellcheck shell=bash disable=SC2154  # variables of common.bash
# For track_*.sh: build a library that tells a tool about its blocks, plant crimes, look who is caught.

# tracked FOLDER OPTION...: our library with these CMake options, in a folder of $work
tracked() {
  local folder=$1
  shift
  (cmake -S "$root" -B "$folder" -DCMAKE_BUILD_TYPE=Release -DMI_BUILD_TESTS=OFF -DMI_BUILD_OBJECT=OFF "$@" &&
    cmake --build "$folder" -j2) >log 2>&1 || { cat log; fail "cannot build with $*"; }
}


# caught MESSAGE WHAT COMMAND...: the tool stops the program (status 9) and says this
caught() {
  local message=$1 what=$2 status
  shift 2
  "$@" >said 2>&1
  status=$?
  if [ $status -eq 9 ] && grep -q "$message" said; then
    echo "ok   $what: $message"
  else
    complain said "$what: status $status, not '$message'"
  fi
}

# clean WHAT COMMAND...: a correct program says its word and nothing else
clean() {
  local what=$1 status
  shift
  "$@" >said 2>&1
  status=$?
  if [ $status -eq 0 ] && [ "$(cat said)" = "did it" ]; then
    echo "ok   $what: clean"
  else
    complain said "$what: status $status, a correct program"
  fi
}
