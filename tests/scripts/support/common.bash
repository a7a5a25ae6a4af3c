# shellcheck shell=bash disable=SC2034  # variables for the scripts
# What the scripts share. Each gets MI_OUT, the folder with libmimalloc*.so, and MI_BITS; exit status 0
# means passed, 77 skipped, anything else failed. A test sources this file first:
#
#   $lib $variant     the library, and which: release, debug or secure
#   $bits             of the library, and of what the compilers compile: 64 or 32
#   $root $support    the project, and the folder of this file
#   $work             an empty folder, the current one, removed at the end
#   compile, with, exported, has_valgrind, fail, skip

set -u
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$support/../../.." && pwd)
out=$(cd "${MI_OUT:-$root/out/release}" && pwd) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/mi-script.XXXXXX")
cd "$work" || exit 1
trap 'rm -rf "$work"' EXIT
unset LD_PRELOAD
bits=${MI_BITS:-64}

fail() {
  echo "FAIL: $*" >&2
  exit 1
}
skip() {
  echo "skipped: $*"
  exit 77
}

# complain FILE WHAT: a failure after which the script goes on; FILE is what the command wrote. `bad` counts
# them: the script ends with [ $bad -eq 0 ].
bad=0
complain() {
  bad=$((bad + 1))
  echo "FAIL ${*:2}"
  if [ -f "$1" ]; then head -n 30 "$1"; fi
}

lib=""
for file in "$out"/libmimalloc*.so; do
  [ -f "$file" ] && lib=$file
done
[ -n "$lib" ] || skip "no libmimalloc*.so in $out"
case ${lib##*/} in
  *-debug*) variant=debug ;;
  *-secure*) variant=secure ;;
  *) variant=release ;;
esac

# compile OUTPUT SOURCE [OPTION...]: a C file of support/, or a file elsewhere; .cpp goes to the C++
# compiler. No built-in malloc: the compiler must not remove a malloc and free that belong together.
compile() {
  local output=$1 source=$2
  shift 2
  [ -f "$source" ] || source=$support/$source
  case $source in
    *.cpp) "${CXX:-g++}" -std=c++17 -O1 -fno-builtin -Wall -Wextra -pthread -I"$root/include" "$source" -o "$output" "$@" ;;
    *) "${CC:-gcc}" -std=gnu11 -O1 -fno-builtin -Wall -Wextra -pthread -I"$root/include" "$source" -o "$output" "$@" ;;
  esac || fail "cannot compile ${source##*/}"
}

# with COMMAND...: the command on our library. Options of the allocator from outside are not passed on.
with() { env LD_PRELOAD="$lib" "$@"; }

# The names that the library exports, one a line. size_t is an m in those of C++, as with 64 bits, also where
# it is a j.
exported() {
  nm -D --defined-only "$lib" | awk '{ print $NF }' | sed 's/@.*//' |
    { if [ "$bits" = 32 ]; then sed -E 's/^(_Zn[wa]|_Zd[la]Pv)j/\1m/'; else cat; fi; } | sort -u
}

# Can valgrind run what is linked with "${for_valgrind[@]}"? It needs debug information of libc's loader, which
# tools/setup.sh m32 unpacks for 32 bits.
for_valgrind=()
if [ "$bits" = 32 ] && [ -f "$root/out/i386/lib/ld-linux.so.2" ]; then
  for_valgrind=("-Wl,--dynamic-linker=$root/out/i386/lib/ld-linux.so.2" "-Wl,-rpath,$root/out/i386/lib/i386-linux-gnu")
fi
has_valgrind() {
  echo 'int main(void) { return 0; }' >empty.c
  command -v valgrind >/dev/null && compile empty empty.c "${for_valgrind[@]}" && valgrind -q ./empty >/dev/null 2>&1
}
