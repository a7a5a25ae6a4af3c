#!/usr/bin/env bash
# The programs of tests/api/usage/ use mimalloc as its documentation describes. Each compiles without a warning
# in every language standard - those in C also as C++ - and runs, linked with the shared library. (In other
# builds than the release build in one standard, because the headers are the same.)
# shellcheck disable=SC2154  # from common.bash
. "$(dirname "$0")/../scripts/support/common.bash"
. "$support/ready.bash"
strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
name=${lib##*/lib} && name=${name%.so}
runs=0
standards_c=(c99 c11 c17 gnu17)
standards_cxx=(c++11 c++14 c++17 gnu++17 c++20)
if [ "$variant" != release ]; then standards_c=(c11) standards_cxx=(c++17); fi

# try COMPILER STANDARD LANGUAGE SOURCE
try() {
  local what="${4##*/} as $2, $1"
  $1 -std="$2" -x "$3" "${strict[@]}" -fno-builtin -I"$root/include" "$4" -x none -L"$out" -l"$name" \
    -Wl,-rpath,"$out" -o program >err 2>&1 || { complain err "$what"; return; }
  local status=0
  ./program >err 2>&1 || status=$?
  if [ $status -ne 0 ]; then complain err "$what: status $status"; fi
  runs=$((runs + 1))
}

in_c() { # SOURCE
  local compiler std
  for compiler in gcc clang-14; do
    for std in "${standards_c[@]}"; do try $compiler $std c "$1"; done
  done
}

in_cxx() { # SOURCE STANDARD...
  local compiler std
  for compiler in g++ clang++-14; do
    for std in "${@:2}"; do try $compiler "$std" c++ "$1"; done
  done
}

command -v clang++-14 >/dev/null || skip "no clang-14"
for source in "$root"/tests/api/usage/*.c; do
  is_ready "$source" || continue
  in_c "$source"
  in_cxx "$source" "${standards_cxx[0]}" "${standards_cxx[-1]}"
done
for source in "$root"/tests/api/usage/*.cpp; do
  is_ready "$source" || continue
  in_cxx "$source" "${standards_cxx[@]}"
done
[ "$runs" -ge 10 ] || [ "$bad" -gt 0 ] || fail "only $runs programs ran"
[ "$bad" -eq 0 ] || fail "$bad programs"
echo "$runs programs ran"
