#!/bin/bash
# The fast paths are as short as DESIGN.md promises, with gcc and with clang:
#   malloc at most 13 instructions, free at most 17, without the ret, counted in the disassembly;
#   p = malloc(64); free(p) through the preloaded library at most 48 per pair, counted by callgrind,
#   with the calls and everything that happens now and then.
set -euo pipefail
[ "$MI_NAME" = mimalloc ] || { echo "skipped: a promise of the release build only"; exit 77; }
command -v valgrind objdump nm >/dev/null || { echo "skipped: no valgrind or binutils"; exit 77; }
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# at_most LIMIT VALUE WHAT
at_most() {
  local verdict=ok
  awk -v value="$2" -v limit="$1" 'BEGIN { exit !(value != "" && value + 0 <= limit) }' || { verdict=FAIL; failed=1; }
  printf '%-4s %-44s %6s, at most %s\n' "$verdict" "$3" "$2" "$1"
}

# straight_line LIBRARY FUNCTION: instructions from the entry to the first ret. What is cold lies behind
# it, reached by forward jumps; a backward jump would be a loop and counts as endless.
straight_line() {
  local start
  start=$(nm -D --defined-only "$1" | awk -v name="$2" '$3 == name { print "0x" $1 }')
  objdump -d --no-show-raw-insn --start-address="$start" --stop-address=$((start + 256)) "$1" |
    awk -v start="$start" '
      /^ *[0-9a-f]+:/ {
        if ($2 == "ret" || $2 == "retq") { print count; exit }
        if ($2 ~ /^(nop|data16|cs|xchg)/ && $0 ~ /nop|%ax,%ax/) next
        if ($2 == "jmp") { print 9999; exit }
        count++
      }'
}

cc -std=c11 -O2 -fno-builtin -D_GNU_SOURCE bench/pairs.c -o "$work/pairs" -pthread

check_compiler() {
  local cc=$1 library=$work/$1.so pair
  "$cc" -shared -fPIC -std=c11 -O2 -DNDEBUG -D_GNU_SOURCE -DMI_CFG_OVERRIDE=1 -DMI_SHARED_LIB \
    -DMI_SHARED_LIB_EXPORT -fvisibility=hidden -fno-semantic-interposition -fno-builtin-malloc \
    -fno-strict-aliasing -ftls-model=initial-exec -fexceptions -Wl,-Bsymbolic-functions \
    -Iinclude -Isrc src/mi.c -o "$library" -pthread
  at_most 13 "$(straight_line "$library" mi_malloc)" "$cc: malloc, fast path"
  at_most 17 "$(straight_line "$library" mi_free)" "$cc: free, fast path"
  pair=$(PATTERNS="lifo1 64" bench/icount.sh "$work/pairs" "$cc=$library" | sed -n "s/.*$cc://p")
  at_most 48 "$pair" "$cc: malloc(64) and free by callgrind"
}

# The library that was built, whatever its compiler was.
built=$MI_OUT/libmimalloc.so
at_most 13 "$(straight_line "$built" mi_malloc)" "as built: malloc, fast path"
at_most 17 "$(straight_line "$built" mi_free)" "as built: free, fast path"
at_most 48 "$(PATTERNS="lifo1 64" bench/icount.sh "$work/pairs" built="$built" | sed -n 's/.*built://p')" \
  "as built: malloc(64) and free by callgrind"
for cc in gcc clang-14; do
  if command -v "$cc" >/dev/null; then check_compiler "$cc"; else echo "no $cc here"; fi
done
exit $failed
