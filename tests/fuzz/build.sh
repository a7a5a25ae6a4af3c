#!/usr/bin/env bash
# Build the fuzz target: tests/fuzz/build.sh FLAVOUR...; each becomes out/fuzz/FLAVOUR/target
#   release debug asan     libFuzzer (clang-14)
#   afl                    AFL++ (afl-clang-fast)
set -euo pipefail
cd "$(dirname "$0")/../.."

warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
common="-std=c11 -g -D_GNU_SOURCE -DMI_CFG_OVERRIDE=0 -Iinclude -Isrc -Itests -pthread
  -fno-strict-aliasing -fno-builtin $warnings"

# flags FLAVOUR: those for all files; coverage FLAVOUR: for mi.o alone; link FLAVOUR: for the program.
flags() {
  case $1 in
    release | afl) echo "-O2 -DNDEBUG" ;;
    debug) echo "-O1 -DMI_ASSERT_LEVEL=2" ;;
    asan) echo "-O1 -DMI_ASSERT_LEVEL=1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" ;;
    *) echo "build.sh: unknown flavour '$1'" >&2; return 2 ;;
  esac
}
coverage() { [ "$1" = afl ] || echo "-fsanitize=fuzzer-no-link"; }
link() { [ "$1" = afl ] || echo "-fsanitize=fuzzer"; }

# All variables of the allocator in one section, so that os.c can put them back to the start. (What the
# coverage counts lies in sections of its own; thread-local variables end with their threads.)
gather_variables() {
  objcopy --rename-section .data=mi_data --rename-section .data.rel=mi_data \
    --rename-section .data.rel.local=mi_data --rename-section .bss=mi_data,alloc,load,data,contents "$1"
}

# shellcheck disable=SC2046,SC2086
build() {
  local flavour=$1 out=out/fuzz/$1 all cc=clang-14 file
  all="$common $(flags "$flavour")"
  mkdir -p "$out"
  [ "$flavour" = afl ] && cc=afl-clang-fast && export AFL_QUIET=1
  # Coverage of src/ is what guides the fuzzer: only mi.o counts.
  $cc $all $(coverage "$flavour") -fvisibility=hidden -ftls-model=initial-exec \
    -include tests/fuzz/redirect.h -c src/mi.c -o "$out/mi.o"
  gather_variables "$out/mi.o"
  for file in os model calls workers target; do
    clang-14 $all -c "tests/fuzz/$file.c" -o "$out/$file.o"
  done
  if [ "$flavour" = afl ]; then $cc $all -c tests/fuzz/afl.c -o "$out/afl.o"; fi
  $cc $all $(link "$flavour") "$out"/*.o -o "$out/target"
}

for flavour in "$@"; do build "$flavour"; done
