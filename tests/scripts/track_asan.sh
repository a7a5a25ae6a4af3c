#!/usr/bin/env bash
# In a program compiled with -fsanitize=address that links a library built with MI_TRACK_ASAN, overflows
# and uses after free of our blocks are reported, and a correct program is left alone.
. "$(dirname "$0")/support/common.bash"
. "$support/tracked.bash"
[ "$variant" = release ] || skip "builds its own library: once is enough"
command -v cmake >/dev/null || skip "no cmake"

tracked asan -DMI_TRACK_ASAN=ON
export ASAN_OPTIONS=exitcode=9
tried=0

for compiler in gcc clang-14; do
  echo 'int main(void) { return 0; }' >empty.c
  $compiler -fsanitize=address empty.c -o empty 2>/dev/null && ./empty || continue
  tried=$((tried + 1))
  for how in shared static; do
    link=(-Lasan -lmimalloc-asan "-Wl,-rpath,$work/asan")
    [ $how = static ] && link=(asan/libmimalloc-asan.a)
    CC=$compiler compile planted planted.c -g -fsanitize=address "${link[@]}"
    what="$compiler, $how"
    clean "$what" ./planted
    for size in 1 45 3000000; do
      poison="AddressSanitizer: use-after-poison"
      caught "$poison" "$what, write past end of $size" ./planted write-past-end $size
      caught "$poison" "$what, read past end of $size" ./planted read-past-end $size
      caught "$poison" "$what, write after free of $size" ./planted write-after-free $size
      caught "$poison" "$what, read after free of $size" ./planted read-after-free $size
      caught "$poison" "$what, read after realloc of $size" ./planted read-after-realloc $size
      caught "$poison" "$what, double free of $size" ./planted double-free $size
    done
  done
done
[ $tried -gt 0 ] || skip "no compiler with the runtime of ASan"
compile planted planted.c -Lasan -lmimalloc-asan -Wl,-rpath,"$work/asan"
clean "without ASan" ./planted
[ "$bad" -eq 0 ] || fail "$bad cases"
