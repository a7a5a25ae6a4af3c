#!/usr/bin/env bash
# Every program of examples/ compiles without a warning, against the shared library by gcc and as a part of
# its CMake project against the installed one by clang, and runs; its status says whether it found what it
# shows. One that uses a function that is not declared waits until it is.
. "$(dirname "$0")/support/common.bash"
. "$support/ready.bash"
examples=$root/examples
strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
name=${lib##*/lib} && name=${name%.so}

# try PROGRAM: run it; the JSON of an example must be JSON
try() {
  local status=0
  "$1" >said 2>&1 || status=$?
  if [ $status -ne 0 ]; then complain said "$1: status $status"; return; fi
  case $1 in *json) python3 -m json.tool said >/dev/null || complain said "$1: no JSON" ;; esac
  echo "ok   $1: $(head -n 1 said | cut -c 1-100)"
}

ready=()
for source in "$examples"/*.c "$examples"/*.cpp; do
  if is_ready "$source"; then ready+=("$source"); fi
done
[ ${#ready[@]} -ge 2 ] || fail "only ${#ready[@]} examples"

# The compiler may know malloc here: examples are programs like any other.
for source in "${ready[@]}"; do
  program=gcc-$(basename "${source%.c*}")
  compiler=(gcc -std=c11)
  case $source in *.cpp) compiler=(g++ -std=c++17) ;; esac
  "${compiler[@]}" -O2 "${strict[@]}" -I"$root/include" "$source" -L"$out" -l"$name" -Wl,-rpath,"$out" -pthread \
    -o "$program" >err 2>&1 || { complain err "$program"; continue; }
  try "./$program"
done

if command -v cmake >/dev/null && command -v clang-14 >/dev/null; then
  {
    cmake --install "$out" --prefix prefix &&
      cmake -S "$examples" -B build -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER=clang-14 \
        -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_C_FLAGS="${strict[*]} -O2" \
        -DCMAKE_CXX_FLAGS="${strict[*]} -O2" -DEXAMPLES="$(IFS=';' && echo "${ready[*]}")" &&
      cmake --build build
  } >err 2>&1 || complain err "the CMake project"
  for source in "${ready[@]}"; do try "build/$(basename "${source%.c*}")"; done
fi
[ "$bad" -eq 0 ] || fail "$bad examples"
