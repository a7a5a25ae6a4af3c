#!/usr/bin/env bash
# Install, with apt, what is missing for a purpose. Does nothing, quickly, when all is there.
# usage: tools/setup.sh build|run|test|proof|fuzz|coverage|docs|programs|programs-all|guest|m32|bench ...
set -euo pipefail

# What each purpose needs: package=what shows that it is there (a command, or a file; * is allowed).
needs() {
  case $1 in
    build)
      if command -v cc || command -v gcc || command -v clang; then :; else echo gcc=gcc; fi >/dev/null
      echo make=make cmake=cmake libc6-dev=/usr/include/stdlib.h ;;
    run)
      echo python3=python3 ;;
    test)
      echo libcmocka-dev=/usr/include/cmocka.h gcc=gcc g++=g++ clang-14=clang-14 \
        clang-tidy-14=clang-tidy-14 clang-format-14=clang-format-14 valgrind=valgrind \
        'libclang-rt-14-dev=/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a' \
        binutils=readelf python3=python3 shellcheck=shellcheck strace=strace ;;
    proof)
      echo gcc=gcc g++=g++ binutils=objcopy python3=python3 relacy-dev=/usr/include/relacy/relacy.hpp ;;
    fuzz)
      echo afl++=afl-fuzz ;;  # for tests/fuzz/afl.sh
    coverage)
      echo gcovr=gcovr g++=g++ ;;
    docs)
      echo doxygen=doxygen python3=python3 ;;
    programs)
      echo redis-server=redis-server redis-tools=redis-benchmark sqlite3=sqlite3 perl=perl \
        lua5.4=lua5.4 git=git z3=z3 g++=g++ clang=clang python3=/usr/bin/python3 \
        libpython3.11-testsuite=/usr/lib/python3.11/test/test_json ;;
    guest)
      echo qemu-system-x86=qemu-system-x86_64 seabios=/usr/share/seabios/bios-256k.bin \
        busybox-static=busybox cpio=cpio ;;
    m32)
      [ "$(uname -m)" = x86_64 ] || return 0
      local version
      version=$(gcc -dumpversion) && local gcc32=/usr/lib/gcc/x86_64-linux-gnu/$version/32
      # Not gcc-multilib: it conflicts with the compilers for other machines.
      echo "gcc-$version-multilib=$gcc32/crtbegin.o" "g++-$version-multilib=$gcc32/libstdc++.a" \
        libc6-dev-i386=/usr/lib32/libc.a ;;
    programs-all)
      needs programs
      echo memcached=memcached nginx-light=nginx wrk=wrk 'postgresql=/usr/lib/postgresql/*/bin/pgbench' \
        rocksdb-tools=db_bench cmake=cmake ruby=ruby nodejs=node ghostscript=gs \
        imagemagick=/usr/bin/convert-im6.q16 openjdk-17-jdk-headless=javac gap-core=gap \
        pari-gp=gp swi-prolog-nox=swipl stress-ng=stress-ng php-cli=php ;;
    bench)
      needs programs-all  # rows of the race
      echo python3=python3 strace=strace valgrind=valgrind g++=g++ python3-matplotlib=/usr/share/doc/python3-matplotlib \
        'libclang-rt-14-dev=/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so' \
        'libjemalloc2=/usr/lib/*/libjemalloc.so.2' \
        'libtcmalloc-minimal4=/usr/lib/*/libtcmalloc_minimal.so.4' \
        'libmimalloc2.0=/usr/lib/*/libmimalloc.so.2*' \
        'libtbbmalloc2=/usr/lib/*/libtbbmalloc.so.2' ;;
    *)
      echo "setup.sh: unknown purpose '$1'" >&2
      return 2 ;;
  esac
}

is_there() {
  case $1 in
    /*) compgen -G "$1" ;;
    *) command -v "$1" ;;
  esac >/dev/null
}

# cmocka for 32 bits, and for valgrind a libc with its debug information beside it, unpacked into out/i386:
# installing them would take a second architecture. apt gets lists of its own for that, and the system's stay
# as they are.
unpack_i386() (
  mkdir -p "$i386/apt/lists/partial" "$i386/apt/archives/partial"
  cd "$i386"
  : >apt/status
  own=(apt-get -qq -o APT::Architecture=i386 -o APT::Architectures=i386 -o APT::Sandbox::User=root
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::State::status="$PWD/apt/status" -o Dir::Cache="$PWD/apt")
  "${own[@]}" update >/dev/null 2>&1 || true  # not every source has i386
  "${own[@]}" download libcmocka0 libc6 libc6-dbg && for package in ./*.deb; do dpkg-deb -x "$package" . || exit; done &&
    mv usr/lib/debug/.build-id/*/*.debug lib/i386-linux-gnu/ && rm -rf apt ./*.deb
)

i386=$(cd "$(dirname "$0")/.." && pwd)/out/i386
case " $* $(uname -m) " in
  *" m32 "*x86_64*)
    if ! compgen -G "$i386/lib/i386-linux-gnu/*.debug" >/dev/null; then
      echo "setup.sh: unpacking libcmocka0, libc6 and libc6-dbg for i386 into out/i386" >&2
      unpack_i386 || compgen -G "$i386/usr/lib/i386-linux-gnu/libcmocka.so.0" >/dev/null ||
        { echo "setup.sh: please put libcmocka.so.0 for i386 there" >&2; exit 1; }
    fi ;;
esac

missing=()
for purpose in "$@"; do
  list=$(needs "$purpose")
  set -f  # the * in a file name is for is_there
  for need in $list; do
    is_there "${need#*=}" || missing+=("${need%%=*}")
  done
  set +f
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "setup.sh: please install: ${missing[*]}" >&2
  exit 1
fi

echo "setup.sh: installing ${missing[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
"${install[@]}" >/dev/null 2>&1 || { "${apt[@]}" update && "${install[@]}" >/dev/null; }
