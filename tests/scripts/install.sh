#!/usr/bin/env bash
# The installed library is found and used in all documented ways, each by a small project of tests/install/:
# find_package in four versions, pkg-config, plain options, add_subdirectory, FetchContent; and the build
# options of mimalloc are understood by their names.
. "$(dirname "$0")/support/common.bash"
command -v cmake >/dev/null || skip "no cmake"
name=${lib##*/lib} && name=${name%.so}
prefix=$work/prefix
projects=$root/tests/install
export CMAKE_BUILD_PARALLEL_LEVEL=2
unset CMAKE_PREFIX_PATH mimalloc_DIR

# configure PROJECT FOLDER OPTION...
configure() { cmake -S "$projects/$1" -B "$2" "${@:3}" >log 2>&1; }

# runs PROGRAM: it is there, and says that malloc is ours
runs() {
  if [ -x "$1" ] && "$1" >said 2>&1; then echo "ok   $1"; else complain said "$1: status $?"; fi
}

installs_to_plain_folders() {
  cmake --install "$out" --prefix "$prefix" >log 2>&1 || fail "cmake --install: $(tail -n 3 log)"
  local file
  for file in $(cd "$root" && echo include/*.h) "lib/$name.o" \
    "lib/lib$name.a" "lib/lib$name.so" lib/cmake/mimalloc/mimalloc-config.cmake "lib/pkgconfig/$name.pc"; do
    [ -e "$prefix/$file" ] || complain none "not installed: $file"
  done
}

package_is_found() { # WANTED
  configure package package -DCMAKE_PREFIX_PATH="$prefix" -DWANTED="$1" -DOBJECT="$name.o" ||
    { complain log "find_package(mimalloc $1)"; return; }
  echo "ok   find_package(mimalloc $1)"
}

packages() {
  package_is_found ""
  package_is_found "1.0;REQUIRED"
  package_is_found "2.0"
  package_is_found "3.4"
  package_is_found "3.4.3"
  if configure package refused -DCMAKE_PREFIX_PATH="$prefix" -DWANTED=4.0; then complain log "version 4.0 is found"; fi
  cmake --build package >log 2>&1 || complain log "package: does not build"
  local how
  for how in shared static object object_file; do runs "package/with_$how"; done
  readelf -d package/with_shared | grep -q "NEEDED.*lib$name\.so\.3" || complain none "with_shared does not need lib$name.so.3"
}

pkg_config() {
  command -v pkg-config >/dev/null || { echo "skip pkg-config"; return; }
  local flags
  flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs "$name") || complain none "pkg-config"
  # shellcheck disable=SC2086  # several options
  cc "$projects/check.c" -fno-builtin $flags -Wl,-rpath,"$prefix/lib" -o with_pkg_config || complain none "pkg-config: $flags"
  runs ./with_pkg_config
}

builds() { # PROGRAM OPTION...
  cc -fno-builtin -I"$prefix/include" "${@:2}" -pthread -o "$1" >log 2>&1 || complain log "cc ${*:2}"
  runs "./$1"
}

plain_options() {
  builds with_shared "$projects/check.c" -L"$prefix/lib" -l"$name" -Wl,-rpath,"$prefix/lib"
  builds with_static "$projects/check.c" "$prefix/lib/lib$name.a"
  builds with_object "$prefix/lib/$name.o" "$projects/check.c"
}

# as_sources PROJECT SOURCES: build the library as a part of the project
as_sources() {
  configure "$1" "$1" -DSOURCES="$2" && cmake --build "$1" >log 2>&1 || complain log "$1: does not build"
}

subdirectory() {
  as_sources subdirectory "$root"
  runs subdirectory/with_static
  local status=0
  (ulimit -c 0 && exec subdirectory/with_static fail) >said 2>&1 || status=$?
  [ $status -eq 134 ] || complain said "MI_XMALLOC: status $status instead of an abort"
  grep -q '^mimalloc: error: ' said || complain said "MI_SHOW_ERRORS: no message"
}

fetch_content() {
  tar -C "$root" -czf sources.tar.gz CMakeLists.txt cmake include src
  as_sources fetch "$work/sources.tar.gz"
  runs fetch/with_object
}

# understands OPTION=VALUE WHAT...: the compiler gets WHAT for src/mi.c
understands() {
  cmake -S "$root" -B options -DMI_BUILD_TESTS=OFF -D"$1" --fresh >log 2>&1 || complain log "cmake -D$1"
  local what
  for what in "${@:2}"; do
    grep '"command"' options/compile_commands.json >commands
    [ "$(grep -cF -e "$what" commands)" -gt 0 ] || complain none "cmake -D$1: not $what"
  done
}

options() {
  understands MI_SECURE_FULL=ON "-DMI_CFG_SECURE=1"
  understands MI_DEBUG=ON "-DMI_ASSERT_LEVEL=1"
  understands MI_DEBUG_FULL=ON "-DMI_ASSERT_LEVEL=2"
  understands MI_NO_DEBUG=ON "-DMI_ASSERT_LEVEL=0"
  understands MI_DEBUG_TSAN=ON "-fsanitize=thread"
  understands MI_LOCAL_DYNAMIC_TLS=ON "-ftls-model=local-dynamic"
  understands MI_LIBC_MUSL=ON "-ftls-model=local-dynamic" "-ftls-model=initial-exec"
  understands "MI_EXTRA_CPPDEFS=ONE=1;TWO" "-DONE=1" "-DTWO"
  if [ "$(uname -m)-$bits" = x86_64-64 ]; then understands MI_OPT_ARCH=ON "-march=haswell"; fi
  understands MI_PADDING=ON
  grep -q "MI_PADDING has no effect" log || complain log "MI_PADDING: not a word"
}

installs_to_plain_folders
packages
pkg_config
plain_options
if [ "$variant" = release ]; then # these build what they use: the same in every variant
  subdirectory
  fetch_content
  options
fi
[ "$bad" -eq 0 ] || fail "$bad ways"
