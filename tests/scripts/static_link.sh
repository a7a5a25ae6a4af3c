#!/usr/bin/env bash
# A C and a C++ program linked with libmimalloc*.a or mimalloc*.o, dynamically and with -static:
# malloc and operator new are really ours, no symbol is defined twice.
. "$(dirname "$0")/support/common.bash"
name=${lib##*/lib} && name=${name%.so}
archive=$out/lib$name.a object=$out/$name.o
[ -f "$archive" ] || fail "no $archive"
[ -f "$object" ] || fail "no $object"

try() { # WHAT SOURCE OPTION...
  local what=$1
  shift
  rm -f program
  if (compile program "$@") >log 2>&1 && ./program >said 2>err; then
    echo "ok   $what: $(cat said)"
  else
    bad=$((bad + 1))
    echo "FAIL $what (status $?)"
    cat log said err 2>/dev/null | head -n 20
  fi
}

for source in override.c override_cxx.cpp; do
  try "$source, $name.a" "$source" "$archive"
  try "$source, $name.a, -static" "$source" "$archive" -static
  try "$source, $name.a, -static-pie" "$source" "$archive" -static-pie
  try "$source, $name.a, -flto" "$source" "$archive" -flto
done

# The object has to come first on the command line, before the program.
for mode in "" -static; do
  "${CC:-gcc}" -O1 -fno-builtin -I"$root/include" -c "$support/override.c" -o override.o || fail "compile"
  "${CXX:-g++}" -std=c++17 -O1 -fno-builtin -I"$root/include" -c "$support/override_cxx.cpp" -o override_cxx.o ||
    fail "compile"
  for program in override override_cxx; do
    # shellcheck disable=SC2086  # no mode, no word
    if "${CXX:-g++}" $mode "$object" "$program.o" -pthread -o program >log 2>&1 && ./program >said 2>err; then
      echo "ok   $program, $name.o first${mode:+, $mode}: $(cat said)"
    else
      bad=$((bad + 1))
      echo "FAIL $program, $name.o first${mode:+, $mode}"
      cat log said err 2>/dev/null | head -n 20
    fi
  done
done

[ "$bad" -eq 0 ] || fail "$bad of the programs"
