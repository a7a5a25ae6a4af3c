#!/usr/bin/env bash
# Compile (only) with each build switch flipped once, with gcc and clang, as one file and as many.
# The switches are the 0/1 ones of src/base/config.h, and the assertion levels.
# usage: tests/configs/run.sh        ends with: N passed, N failed
set -u
cd "$(dirname "$0")/../.." || exit 1
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export FLAGS="-std=c11 -D_GNU_SOURCE -Iinclude -Isrc -fPIC -fno-strict-aliasing -ftls-model=initial-exec
  -fno-builtin-malloc -fvisibility=hidden -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

# Every switch with the value it does not have by default. (MI_CFG_ONE_FILE is mi.c's own.)
flips() {
  sed -nE '/MI_CFG_ONE_FILE/d; s/^#\s*define (MI_CFG_\w+) ([01])\b.*/\1 \2/p' src/base/config.h |
    while read -r name value; do echo "-D$name=$((1 - value))"; done
  echo -DMI_CFG_NOTHING=0  # the defaults
  echo -DMI_ASSERT_LEVEL=1
  echo -DMI_ASSERT_LEVEL=2
}

# The files that this system's multi-file build has.
files() {
  find src -name '*.c' ! -path src/mi.c ! -path 'src/platform/*'
  find src/platform -maxdepth 1 -name '*.c'
  find src/platform/{linux,posix,portable} -name '*.c' 2>/dev/null
}

# one CC SWITCH FILE: prints ok or FAIL; optimised, because some warnings need it
one() {
  # shellcheck disable=SC2086
  if out=$($1 $FLAGS -O1 "$2" -c "$3" -o /dev/null 2>&1); then
    echo "ok $*"
  else
    echo "FAIL $*: $out"
  fi
}
export -f one

results=$(
  for cc in gcc clang-14; do
    for switch in $(flips); do
      for file in src/mi.c $(files); do
        printf '%s\0%s\0%s\0' "$cc" "$switch" "$file"
      done
    done
  done | xargs -0 -n 3 -P "$jobs" bash -c 'one "$@"' one
)
grep -v '^ok ' <<<"$results"
passed=$(grep -c '^ok ' <<<"$results")
failed=$(grep -c '^FAIL ' <<<"$results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
