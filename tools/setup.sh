#!/usr/bin/env bash
# Install, with apt, what is missing for a purpose. Does nothing, quickly, when all is there.
# usage: tools/setup.sh build|run|test|programs|programs-all|bench ...
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
        binutils=readelf python3=python3 shellcheck=shellcheck ;;
    programs)
      echo redis-server=redis-server redis-tools=redis-benchmark sqlite3=sqlite3 perl=perl \
        lua5.4=lua5.4 git=git z3=z3 g++=g++ clang=clang python3=/usr/bin/python3 \
        libpython3.11-testsuite=/usr/lib/python3.11/test/test_json ;;
    programs-all)
      needs programs
      echo memcached=memcached nginx-light=nginx wrk=wrk 'postgresql=/usr/lib/postgresql/*/bin/pgbench' \
        rocksdb-tools=db_bench cmake=cmake ruby=ruby nodejs=node ghostscript=gs \
        imagemagick=/usr/bin/convert-im6.q16 openjdk-17-jdk-headless=javac gap-core=gap \
        pari-gp=gp swi-prolog-nox=swipl stress-ng=stress-ng php-cli=php ;;
    bench)
      echo python3=python3 'libjemalloc2=/usr/lib/*/libjemalloc.so.2' \
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
