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
coverage() { case $1 in afl) ;; *) echo "-fsanitize=fuzzer-no-link" ;; esac; }
link() { case $1 in afl) ;; asan) echo "-fsanitize=fuzzer,address,undefined" ;; *) echo "-fsanitize=fuzzer" ;; esac; }

# All variables of the allocator in one section, so that os.c can put them back to the start. (What the
# coverage counts lies in sections of its own; thread-local variables end with their threads.)
gather_variables() {
  objcopy --rename-section .data=mi_data --rename-section .data.rel=mi_data \
    --rename-section .data.rel.local=mi_data --rename-section .bss=mi_data,alloc,load,data,contents "$1"
}

# shellcheck disable=SC2046,SC2086
build() {
  local flavour=$1 out=out/fuzz/$1 cc=clang-14 files="os model calls workers target"
  if [ "$flavour" = afl ]; then
    cc=afl-clang-fast
    files="$files afl"
    export AFL_QUIET=1
  fi
  mkdir -p "$out"
  local all
  all="$common $(flags "$flavour")"
  $cc $all $(coverage "$flavour") -fvisibility=hidden -ftls-model=initial-exec \
    -include tests/fuzz/redirect.h -c src/mi.c -o "$out/mi.o"
  gather_variables "$out/mi.o"
  local objects=$out/mi.o
  for file in $files; do
    # The counters of AFL++ are switched off where we do not want them: it is src/ that counts.
    AFL_DONT_OPTIMIZE=1 $cc $all -c "tests/fuzz/$file.c" -o "$out/$file.o"
    objects="$objects $out/$file.o"
  done
  $cc $all $(link "$flavour") $objects -o "$out/target"
}

for flavour in "$@"; do build "$flavour"; done
