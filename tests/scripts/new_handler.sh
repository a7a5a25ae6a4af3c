#!/usr/bin/env bash
# Out of memory in C++: operator new calls the program's new_handler and throws std::bad_alloc, in
# programs that are preloaded, linked with the shared library, the static library, or the object, with
# the C++ runtime dynamic or static, and in C++ plugins of C programs. One line per failure says why.
. "$(dirname "$0")/support/common.bash"
name=${lib##*/lib} && name=${name%.so}
archive=$out/lib$name.a object=$out/$name.o


# The library itself is C.
if readelf -d "$lib" | grep -Eq 'NEEDED.*lib(std)?c\+\+'; then complain err "the library needs a C++ runtime"; fi

# program: the case with our messages on, in 400 MiB of address space
program() { # CASE
  (ulimit -v 409600 && ulimit -c 0 && exec timeout 60 env MIMALLOC_SHOW_ERRORS=1 \
    ${preload:+LD_PRELOAD=$preload} ./program "$1") 2>err
}

try_all() { # HOW
  for case in throws throws_in_expressions nothrow_is_null handler_is_called handler_may_throw \
    handler_was_taken_away handler_makes_room; do
    program "$case" || complain err "$1: $case: status $?"
  done
  program fails_once || complain err "$1: fails_once: status $?"
  [ "$(wc -l <err)" -eq 1 ] || complain err "$1: not one line"
  grep -q "bytes could not be allocated (limit of address space: 419430400 bytes)" err ||
    complain err "$1: the limit is not named"
  echo "done $1"
}

preload=$lib
compile program new_handler.cpp
try_all "preloaded"
preload=""
compile program new_handler.cpp -L"$out" -l"$name" -Wl,-rpath,"$out"
try_all "shared library"
compile program new_handler.cpp "$archive"
try_all "static library"
compile program new_handler.cpp "$archive" -static
try_all "static library, static program"
compile program new_handler.cpp "$archive" -static -flto
try_all "static library, static program, -flto"
"${CXX:-g++}" -std=c++17 -O1 -fno-builtin "$object" "$support/new_handler.cpp" -pthread -o program || fail "compile"
try_all "object"
"${CXX:-g++}" -std=c++17 -O1 -fno-builtin "$object" "$support/new_handler.cpp" -pthread -static -o program ||
  fail "compile"
try_all "object, static program"

# A plugin brings the C++ runtime along, for itself alone.
compile plugin.so plugin.cpp -shared -fPIC
compile plugin_host plugin_host.c -ldl
(ulimit -v 409600 && exec env LD_PRELOAD="$lib" ./plugin_host "$work/plugin.so") 2>err || complain err "plugin: status $?"

# A C program has no handler, and nobody who could catch.
for how in "$archive" "$archive -static" "-L$out -l$name -Wl,-rpath,$out"; do
  # shellcheck disable=SC2086  # several options
  compile program new_in_c.c $how
  program nothrow || complain err "C, $how: status $?"
  status=0
  (ulimit -v 409600 && ulimit -c 0; ./program throw; exit $?) 2>err || status=$?
  [ $status -eq 134 ] || complain err "C, $how: status $status instead of an abort"
  [ "$(grep -c "mimalloc: error: out of memory in operator new" err)" -eq 1 ] ||
    complain err "C, $how: does not say why"
done
[ "$bad" -eq 0 ] || fail "$bad cases"
