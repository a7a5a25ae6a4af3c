# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# The compilers on real files, this project's own: objects must be the same to the byte, programs run.
needs="gcc g++ clang clang++ sha256sum"
binaries="$(gcc -print-prog-name=cc1) $(gcc -print-prog-name=cc1plus) $(gcc -print-prog-name=as) $(gcc -print-prog-name=ld) clang"
prepare() {
  cp -r "$root/src" "$root/include" .
  cp "$root/tests/programs/threads.cpp" "$root"/tests/scripts/support/fork.c .
  printf '%s\n' '#include <iostream>' '#include <map>' 'int main() { std::map<int, int> m; m[1] = 2; std::cout << m.size() << std::endl; }' >small.cpp
}
same=("-ffile-prefix-map=$shared=." "-ffile-prefix-map=$PWD=.")  # no path of the run in an object
c_options=(-std=gnu11 -g -D_GNU_SOURCE "${same[@]}" -I"$shared/include" -I"$shared/src")
cxx_options=(-std=c++17 "${same[@]}")
run() {
  local big=$shared/fork.c
  [ ! -f "$shared/src/mi.c" ] || big=$shared/src/mi.c
  gcc "${c_options[@]}" -O2 -c "$big" -o gcc.o
  clang "${c_options[@]}" -O2 -c "$big" -o clang.o
  g++ "${cxx_options[@]}" -O1 -c "$shared/small.cpp" -o small.o
  clang++ "${cxx_options[@]}" -O1 -c "$shared/small.cpp" -o small-clang.o
  g++ small.o -o small && ./small
  clang++ small-clang.o -o small && ./small
  if [ "$level" = all ]; then
    g++ "${cxx_options[@]}" -O2 -g -c "$shared/threads.cpp" -o threads.o
    clang++ "${cxx_options[@]}" -O2 -g -fsized-deallocation -c "$shared/threads.cpp" -o threads-clang.o
    g++ -O2 -pthread -flto -frandom-seed=1 "${cxx_options[@]}" "$shared/threads.cpp" -o threads && ./threads
    clang++ -pthread threads-clang.o -o threads && ./threads
  fi
  sha256sum ./*.o
  echo "int main(void) { return undeclared; }" >wrong.c
  gcc -c wrong.c || echo "status $?"
  clang -c wrong.c || echo "status $?"
}
