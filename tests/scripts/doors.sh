#!/bin/bash
# With hardening and sampling off, malloc and free are byte for byte those of a build without the doors to them
# (-DMI_CFG_DOORS=0): whole functions, with what they call, compiled as the library was. As this compares
# nothing with itself, a door on purpose in the fast path of free has to be seen.
. "$(dirname "$0")/support/as_built.bash"
for tool in objdump objcopy cc; do
  command -v $tool >/dev/null || skip "no $tool"
done

# build COMPILER NAME FLAG...: each function in a section of its own
build() { "$1" "${flags[@]}" -ffunction-sections -Isrc "${@:3}" -c src/mi.c -o "$work/$2.o"; }

# code NAME FUNCTION: its instructions in bytes, and the names that they refer to, as the relocations say. What
# objdump puts behind an instruction in <> is a guess: before relocation a jump leads to the begin of any section.
code() { objdump -dr --section=".text.$2" "$work/$1.o" | tail -n +4 | sed 's/ *<[^>]*>$//'; }

functions="mi_malloc mi_free mi_zalloc mi_malloc_small mi_free_small"
failed=0

# different ONE OTHER: which of the functions differ
different() {
  for function in $functions; do
    code "$1" "$function" >"$work/one"
    code "$2" "$function" >"$work/other"
    [ "$(wc -l <"$work/one")" -gt 3 ] || echo "$function (missing)"
    cmp -s "$work/one" "$work/other" || echo "$function"
  done
}

# A level that is looked at in the fast path of free: what the test is to notice.
mkdir "$work/src"
cp -r src/. "$work/src"
sed -i 's/^  if (MI_LIKELY(mii_range_has(p)) \&\& !MI_CFG_TRACK) {/  if (mii_secure_level() < 3 \&\& MI_LIKELY(mii_range_has(p)) \&\& !MI_CFG_TRACK) {/' \
  "$work/src/api/free.c"
cmp -s src/api/free.c "$work/src/api/free.c" && { echo "mi_free looks otherwise than this test believes"; failed=1; }

# The other compiler, which takes as long again, in `make soak` only.
compilers=(gcc)
[ "${MI_LONG:-0}" = 0 ] || compilers+=(clang-14)
for compiler in "${compilers[@]}"; do
  command -v $compiler >/dev/null || continue
  build $compiler with
  build $compiler without -DMI_CFG_DOORS=0
  $compiler "${flags[@]/$PWD\/src/$work/src}" -ffunction-sections -c "$work/src/mi.c" -o "$work/planted.o"
  found=$(different with without)
  if [ -n "$found" ]; then
    echo "FAIL $compiler: the doors change ${found//$'\n'/ }"
    failed=1
  else
    echo "ok   $compiler: with and without doors: the same bytes of $functions"
  fi
  [ "$(different with planted | head -n 1)" != "" ] || { echo "FAIL $compiler: a planted door is not seen"; failed=1; }
done
exit $failed
