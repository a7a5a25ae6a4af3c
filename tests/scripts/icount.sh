#!/bin/bash
# The fast paths are as short as DESIGN.md promises, in the library that was built and with gcc and
# clang, with the flags that the library was built with:
#   malloc at most 13 instructions, free at most 17, without the ret: counted in the disassembly, and as
#   executed, by callgrind;
#   p = malloc(64); free(p) through the preloaded library at most 48 per pair, counted by callgrind,
#   with the calls and everything that happens now and then.
. "$(dirname "$0")/support/as_built.bash"
[ "${MI_BITS:-64}" = 64 ] || skip "the figures are those of x86-64"
for tool in valgrind objdump nm cc; do
  command -v $tool >/dev/null || skip "no $tool"
done
failed=0

# at_most LIMIT VALUE WHAT: VALUE is empty if something went wrong.
at_most() {
  local verdict=ok
  awk -v value="$2" -v limit="$1" 'BEGIN { exit !(value != "" && value > 0 && value + 0 <= limit) }' ||
    { verdict=FAIL; failed=1; }
  printf '%-4s %-44s %6s, at most %s\n' "$verdict" "$3" "${2:-none}" "$1"
}

# straight_line LIBRARY FUNCTION: instructions from the entry to the first ret. What is cold lies behind
# it, reached by forward jumps; a jump that is always taken counts as endless.
straight_line() {
  local start
  start=$(nm -D --defined-only "$1" | awk -v name="$2" '$3 == name { print "0x" $1 }')
  objdump -d --no-show-raw-insn --start-address="$start" --stop-address=$((start + 256)) "$1" |
    awk '
      /^ *[0-9a-f]+:/ {
        if ($2 == "ret" || $2 == "retq") { print count; exit }
        if ($2 ~ /^(nop|data16|cs|xchg)/ && $0 ~ /nop|%ax,%ax/) next
        if ($2 == "jmp") { print 9999; exit }
        count++
      }'
}

cc -std=c11 -O2 -fno-builtin -D_GNU_SOURCE bench/pairs.c -o "$work/pairs" -pthread
cc -std=c11 -O2 -fno-builtin tests/scripts/support/icount.c -o "$work/icount"

# collected LIBRARY malloc|free TIMES: instructions within the function, under either of its names.
collected() {
  LD_PRELOAD=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$2" \
    --toggle-collect="mi_$2" "$work/icount" "$2" "$3" 2>&1 | sed -n 's/.*Collected : //p'
}

# executed LIBRARY malloc|free: per call, without the ret. Two numbers of calls are subtracted, so what
# else calls the function does not count.
executed() {
  local few many
  few=$(collected "$1" "$2" 2)
  many=$(collected "$1" "$2" 14)
  awk -v few="$few" -v many="$many" 'BEGIN { if (many > few) print (many - few) / 12 - 1 }'
}

# pair LIBRARY
pair() { PATTERNS="lifo1 64" bench/icount.sh "$work/pairs" ours="$1" | sed -n 's/.*ours://p'; }

# check LIBRARY NAME
check() {
  at_most 13 "$(straight_line "$1" mi_malloc)" "$2: malloc, fast path"
  at_most 13 "$(executed "$1" malloc)" "$2: malloc, executed"
  at_most 17 "$(straight_line "$1" mi_free)" "$2: free, fast path"
  at_most 17 "$(executed "$1" free)" "$2: free, executed"
  at_most 48 "$(pair "$1")" "$2: malloc(64) and free by callgrind"
}

# build COMPILER LIBRARY: as CMake did, but by this compiler.
build() { "$1" "${flags[@]}" -shared -Wl,-Bsymbolic-functions src/mi.c -o "$2" -pthread; }

check "$out/libmimalloc.so" "as built"
for compiler in gcc clang-14; do
  if command -v $compiler >/dev/null; then
    build $compiler "$work/$compiler.so"
    check "$work/$compiler.so" $compiler
  else
    echo "no $compiler here"
  fi
done
exit $failed
