#!/usr/bin/env bash
# D9: other tools in the process. memcheck has nothing to say about a program on our library, with its own
# malloc or with ours; programs compiled with ASan run with us linked; gdb walks out of our functions;
# LD_DEBUG, -z now and lazy binding.
. "$(dirname "$0")/support/common.bash"
name=${lib##*/lib} && name=${name%.so}
# says WORDS WHAT COMMAND...: status 0, these words and nothing else
says() {
  local words=$1 what=$2 status
  shift 2
  # With 32 bits a tool of 64 says that it cannot load our library.
  timeout 120 "$@" 2>&1 | sed '/^ERROR: ld.so: .*wrong ELF class/d' >said
  status=${PIPESTATUS[0]}
  if [ $status -eq 0 ] && [ "$(cat said)" = "$words" ]; then
    echo "ok   $what"
  else
    complain said "$what: status $status"
  fi
}
preload=(env "LD_PRELOAD=$lib")
ours="malloc is ours"

compile tools tools.c -g -D_GNU_SOURCE -DMI_ABSENT=1 "${for_valgrind[@]}"
compile linked tools.c -g -D_GNU_SOURCE "$lib" -Wl,-rpath,"$out" "${for_valgrind[@]}"
compile archive tools.c -g -D_GNU_SOURCE "$out/lib$name.a" "${for_valgrind[@]}"

if has_valgrind; then
  memcheck=(valgrind -q --leak-check=full --error-exitcode=9)
  mine=(--soname-synonyms=somalloc=nouserintercepts)
  says "malloc and free work" "memcheck, preloaded" "${preload[@]}" "${memcheck[@]}" ./tools
  says "malloc and free work" "memcheck, preloaded, our malloc" "${preload[@]}" "${memcheck[@]}" "${mine[@]}" ./tools
  says "malloc and free work" "memcheck, archive" "${memcheck[@]}" ./archive quiet
  says "$ours" "memcheck, linked, our malloc" "${memcheck[@]}" "${mine[@]}" ./linked
  says "$ours" "memcheck, archive, our malloc" "${memcheck[@]}" "${mine[@]}" ./archive
else
  echo "no valgrind here"
fi

# ASan's malloc comes before that of our library, and mi_malloc works beside it; that of our archive comes
# before ASan's.
for compiler in gcc clang-14; do
  echo 'int main(void) { return 0; }' >empty.c
  $compiler -fsanitize=address empty.c -o empty 2>/dev/null && ./empty || { echo "no ASan of $compiler here"; continue; }
  CC=$compiler compile asan tools.c -g -D_GNU_SOURCE -fsanitize=address "$lib" -Wl,-rpath,"$out"
  says "malloc and free work" "ASan of $compiler, linked" ./asan
  CC=$compiler compile asan tools.c -g -D_GNU_SOURCE -fsanitize=address "$out/lib$name.a"
  says "$ours" "ASan of $compiler, archive" ./asan
done

# From within the slow ways back to main, so in its thread: libc calls madvise itself for the stack of a thread that
# ends, and since a thread of ours purges this may be the first call.
if command -v gdb >/dev/null; then
  for place in mprotect madvise; do
    DEBUGINFOD_URLS='' timeout 120 gdb -q -batch -nx -iex 'set auto-load off' -ex 'set breakpoint pending on' -ex 'set confirm off' \
      -ex 'break main' -ex run -ex "break $place if \$_thread == 1" -ex continue -ex backtrace -ex kill ./linked >said 2>&1
    if grep -qi "ptrace\|could not trace\|not permitted" said; then
      echo "gdb may not trace here"
    elif grep -q "^#0 .*$place" said && grep -Eq '^#[0-9]+ .* (mi_|mii_|malloc|calloc|free).* from .*libmimalloc|^#[0-9]+ .* (in )?(mi_|mii_)' said &&
      grep -Eq '^#[0-9]+ .*main \(' said; then
      echo "ok   gdb, backtrace from $place"
    else
      complain said "gdb, backtrace from $place"
    fi
  done
else
  echo "no gdb here"
fi

LD_DEBUG=all LD_DEBUG_OUTPUT=$work/debug "${preload[@]}" ./tools >said 2>&1 && [ "$(cat said)" = "malloc and free work" ] &&
  grep -q "libmimalloc" "$work"/debug.* && echo "ok   LD_DEBUG=all" || complain said "LD_DEBUG=all"

for binding in now lazy; do
  compile bound tools.c -D_GNU_SOURCE "$lib" -Wl,-rpath,"$out" -Wl,-z,$binding
  says "$ours" "-z $binding" ./bound
  says "$ours" "-z $binding, LD_BIND_NOW" env LD_BIND_NOW=1 ./bound
done
says "malloc and free work" "preloaded, LD_BIND_NOW" env LD_BIND_NOW=1 LD_PRELOAD="$lib" ./tools
[ "$bad" -eq 0 ] || fail "$bad cases"
