#!/usr/bin/env bash
# The rows of docs/compatibility.md that need a program of their own: one function each, which carries the
# number of its row. The other rows are in tests/api/compatibility_test.c.
. "$(dirname "$0")/support/common.bash"
check() { # WHAT EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then
    echo "ok   $1: $3"
  else
    echo "FAIL $1: $3, expected $2"
    bad=$((bad + 1))
  fi
}
status_of() { (ulimit -c 0 && exec "$@") >/dev/null 2>&1; echo $?; }

# both ROW GLIBC OURS ARGUMENT...: the status with each compiler, alone and on us
both() {
  local row=$1 theirs=$2 ours=$3 compiler
  shift 3
  for compiler in "${compilers[@]}"; do
    check "$row, $compiler, glibc" "$theirs" "$(status_of "./$compiler" "$@")"
    check "$row, $compiler, ours" "$ours" "$(status_of env LD_PRELOAD="$lib" "./$compiler" "$@")"
  done
}

# links NAME: does a program that calls this function link, with these further arguments?
links() {
  echo "int $1(); int main(void) { return (int)(long)&$1; }" >name.c
  if "${CC:-gcc}" -fno-builtin -w name.c -o name "${@:2}" 2>/dev/null; then echo yes; else echo no; fi
}

row_16_reallocarray_to_0() {
  check "${FUNCNAME[0]}, glibc" NULL "$(./gcc reallocarray_0 0)"
  check "${FUNCNAME[0]}, ours" block "$(with ./gcc reallocarray_0 0)"
}

row_45_variables_of_glibc_are_not_read() {
  check "${FUNCNAME[0]}, glibc" 165 "$(MALLOC_PERTURB_=90 ./gcc first_byte)"
  local ours=0
  [ "$variant" != debug ] || ours=208 # a pattern of its own (src/api/fill.h)
  check "${FUNCNAME[0]}, ours" $ours "$(MALLOC_PERTURB_=90 with ./gcc first_byte)"
}

row_47_names_of_other_systems() {
  local name
  for name in cfree vfree reallocf reallocarr malloc_size malloc_good_size _aligned_malloc; do
    check "${FUNCNAME[0]}, $name, glibc" no "$(links $name)"
    check "${FUNCNAME[0]}, $name, ours" yes "$(links $name "$lib")"
  done
}

row_48_names_of_c23_are_missing() {
  local name
  for name in free_sized free_aligned_sized; do
    check "${FUNCNAME[0]}, $name, glibc" no "$(links $name)"
    check "${FUNCNAME[0]}, $name, ours" no "$(links $name "$lib")"
  done
}

row_49_there_are_no_hooks() {
  check "${FUNCNAME[0]}, glibc" no "$(links __malloc_hook)"
  check "${FUNCNAME[0]}, ours" no "$(links __malloc_hook "$lib")"
}

row_50_fortified_programs_run() { both "${FUNCNAME[0]}" 0 0 write_size; }
# With 32 bits it is 44 that glibc does not round up.
row_51_fortified_writing_of_usable_40() { both "${FUNCNAME[0]}" 0 134 write_usable $((bits == 64 ? 40 : 44)); }
row_52_fortified_writing_of_usable_100() { both "${FUNCNAME[0]}" 134 134 write_usable 100; }
row_53_fortified_realloc_to_usable() {
  both "${FUNCNAME[0]}" 0 0 resize_then_write
  both "${FUNCNAME[0]}, in place" 2 0 expand_then_write
}

[ "$(getconf GNU_LIBC_VERSION)" = "glibc 2.36" ] || skip "the document speaks of glibc 2.36"
compilers=()
for compiler in gcc clang-14; do
  command -v $compiler >/dev/null || continue
  $compiler -std=gnu11 -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Wall -Wextra \
    "$support/compatibility.c" -o $compiler || fail "cannot compile"
  compilers+=("$compiler")
done
for row in $(declare -F | sed -n 's/^declare -f \(row_[0-9]*_.*\)/\1/p'); do $row; done
[ "$bad" -eq 0 ] || fail "$bad checks"
