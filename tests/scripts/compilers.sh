#!/usr/bin/env bash
# D5: with gcc and clang, what is compiled from our source calls no allocator (no calloc made of malloc and
# memset, so none that calls itself). Link-time optimisation of a program works with libmimalloc*.a,
# and with our source compiled for it, too: malloc is ours, and blocks hold what was written.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = release ] || skip "compiles our source itself: once is enough"
archive=$out/libmimalloc.a
ours=(-std=c11 -DNDEBUG -D_GNU_SOURCE -DMI_CFG_OVERRIDE=1 -fno-builtin-malloc -fno-strict-aliasing
  -ftls-model=initial-exec -fvisibility=hidden "-I$root/include" "-I$root/src")

allocators='(malloc|calloc|realloc|free|memalign|aligned_alloc|posix_memalign|reallocarray|strdup|_Zn[wa].*|_Zd[la].*)'
# A call, or a jump, from within a function to one of these, by either of its names.
calls_an_allocator() { # OBJECT
  objdump -dr --no-show-raw-insn "$1" |
    grep -E "R_X86_64_(PLT32|PC32|GOTPCREL\w*)\s+${allocators}[-+]" ||
    nm -u "$1" | grep -wE "U $allocators"
}
# Functions that jump to themselves at their begin: a calloc that became a call of calloc.
calls_itself() { # OBJECT
  objdump -d --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name) }
    $2 ~ /^(call|jmp)q?$/ && $NF == "<" name ">" && name ~ /alloc|free|zalloc|_Zn/ { print name; found = 1 }
    END { exit !found }'
}

for compiler in gcc clang-14; do
  command -v $compiler >/dev/null || { echo "no $compiler here"; continue; }
  for level in -O2 -O3; do
    $compiler "${ours[@]}" $level -fPIC -c "$root/src/mi.c" -o mi.o 2>log || { complain log "$compiler $level"; continue; }
    if calls_an_allocator mi.o >log || calls_itself mi.o >>log; then
      complain log "$compiler $level: an allocator is called"
    else
      echo "ok   $compiler $level: no allocator is called"
    fi
  done
done

try() { # WHAT COMPILER OPTION...: override.c and lto.c, as the options say
  local what=$1 compiler=$2 program
  shift 2
  for program in override lto; do
    rm -f program
    if "$compiler" -std=gnu11 -D_GNU_SOURCE -O2 "-I$root/include" "$support/$program.c" "$@" -pthread -o program >log 2>&1 &&
      timeout 60 ./program >said 2>>log && grep -q "ours" said; then
      echo "ok   $what, $program.c"
    else
      complain log "$what, $program.c: status $?, $(cat said)"
    fi
  done
}

# linked COMPILER LINKER: can it link a program with -flto?
linked() {
  echo 'int main(void) { return 0; }' >empty.c
  "$1" -flto "$2" empty.c -o empty 2>/dev/null && ./empty
}

for how in "gcc -fuse-ld=bfd" "gcc -fuse-ld=gold" "clang-14 -fuse-ld=lld"; do
  read -r compiler linker <<<"$how"
  linked "$compiler" "$linker" || { echo "no $how -flto here"; continue; }
  try "$how -flto, archive" "$compiler" -flto "$linker" "$archive"
  [ -f "lto-$compiler.o" ] || "$compiler" "${ours[@]}" -O2 -flto -c "$root/src/mi.c" -o "lto-$compiler.o" 2>log ||
    complain log "$how: mi.c for -flto"
  try "$how -flto, our source" "$compiler" -flto "$linker" "lto-$compiler.o"
done
if linked clang-14 -fuse-ld=lld; then
  try "clang-14 -flto=thin, archive" clang-14 -flto=thin -fuse-ld=lld "$archive"
fi
[ "$bad" -eq 0 ] || fail "$bad cases"
