#!/usr/bin/env bash
# Run groups of checks, count what passed and failed, end with one line: N passed, N failed
# usage: tools/test.sh lint|configs|levels|sanitize|m32|proof|test|check ...
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
passed=0 failed=0
mkdir -p out
log=$(mktemp out/step.XXXXXX)
trap 'rm -f "$log"' EXIT

# How many tests passed and failed, if the log of a step says so ("-" if not).
counts() {
  sed -nE -e 's/^.* tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\2 \1 ctest/p' \
    -e 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2 own/p' "$log" | tail -n 1
}

# step NAME COMMAND...: one line if all is well, the command's output if not.
step() {
  local name=$1 start=$SECONDS good=0 bad=0 kind='' status
  shift
  "$@" >"$log" 2>&1
  status=$?
  read -r good bad kind < <(counts)
  [ "$kind" = ctest ] && good=$((good - bad))
  [ -z "$kind" ] && good=$((status == 0)) bad=0
  [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  passed=$((passed + good)) failed=$((failed + bad))
  if [ "$bad" -eq 0 ]; then
    printf 'ok    %-28s %4d passed %5d s\n' "$name" "$good" $((SECONDS - start))
  else
    cat "$log"
    printf 'FAIL  %-28s %4d failed %5d s\n' "$name" "$bad" $((SECONDS - start))
  fi
  [ "$bad" -eq 0 ]
}

or_skip() { "$@" || [ $? -eq 77 ]; }
build() { cmake --preset "$1" && cmake --build --preset "$1"; }
try_ctest() { ctest --preset "$1" -j "$jobs"; }
try_preset() { step "build $1" build "$1" && step "ctest $1" try_ctest "$1"; }

tidy() { # the multi-file build (mi.c would repeat it); debug, so that assertions tell the analyser
  cmake --preset debug && run-clang-tidy-14 -quiet -j "$jobs" -p out/debug '/src/(?!mi\.c$)'
}

scripts() { find . -path ./out -prune -o -name '*.sh' -print0 | xargs -0 shellcheck -S warning .ci/run; }

exports_without_override() {
  cc -shared -fPIC -std=c11 -fvisibility=hidden -ftls-model=initial-exec -D_GNU_SOURCE \
    -DMI_CFG_OVERRIDE=0 -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -Iinclude -Isrc \
    src/mi.c -o out/no-override.so -lpthread &&
    tools/check_exports.py --no-override out/no-override.so
}

lint() {
  step "lint format" tools/format.sh --dry-run --Werror
  step "lint layers" tools/check_layers.py
  step "lint names in comments" tools/check_names.py
  step "lint exports, no override" exports_without_override
  step "lint shellcheck" scripts
  step "lint exports" tools/check_exports.py out/release/{libmimalloc.so,libmimalloc.a,mimalloc.o}
  step "lint clang-tidy" tidy
}

tests() {
  try_preset release
  lint
  try_preset debug
}

sanitize() {
  try_preset asan
  try_preset ubsan
  try_preset tsan
}

m32() { # where the compiler can make 32-bit programs; tools/setup.sh m32
  [ "$(uname -m)" = x86_64 ] || { echo "skip  m32: not x86-64"; return; }
  try_preset m32
  try_preset m32-debug
}

# The table of the API is part of the result.
signatures() {
  step "signatures of the API" env MI_OUT="$PWD/out/release" tests/api/signatures.sh
  cat "$log"
}

# The API tests, and those with threads, of the release build in a hardened process: 2 minutes per level on 2 cores.
at_level() { MIMALLOC_SECURE=$1 ctest --preset release -j "$jobs" -L "$2"; }
levels() {
  local level
  for level in 1 2 3 4 5; do step "ctest at level $level" at_level $level 'api|stress|fuzz'; done
}

# A part of that, in 20 seconds.
levels_quick() {
  step "some at level 4" env MIMALLOC_SECURE=4 ctest --preset release -j "$jobs" \
    -R '^api/(basic|compatibility|heap|lent|no_memory|stats|visit)$'
}

# P30 with every size; the builds are there.
aligned() {
  local preset
  for preset in release secure; do
    step "aligned, every size, $preset" env MI_TEST_LONG=1 "out/$preset/tests/api-aligned_matrix-shared"
  done
}

# The figures are part of the result: the explorer's states, and the table of weakened orders.
proof() {
  step "proof of the protocol" or_skip tests/proof/run.sh all
  cat "$log"
}

for group in "$@"; do
  case $group in
    lint) step "build release" build release && lint ;;
    configs) step configs tests/configs/run.sh ;;
    sanitize) sanitize ;;
    levels) levels ;;
    m32) m32 ;;
    proof) proof ;;
    test)
      tests
      levels_quick
      step "programs, quick" tests/programs/run.sh quick ;;
    check)
      tests
      signatures
      levels
      try_preset secure
      aligned
      try_preset clang
      sanitize
      m32
      step configs tests/configs/run.sh
      proof
      step "fuzz, 10 minutes" tests/fuzz/run.sh 600
      step "soak, short" tools/soak.sh 100
      step "costs" or_skip tools/check_costs.py
      step "programs, all" tests/programs/run.sh all
      step "guests" or_skip tests/guest/run.sh ;;
    *)
      echo "test.sh: unknown group '$group'" >&2
      failed=$((failed + 1)) ;;
  esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
