#!/usr/bin/env bash
# Programs linked with libmimalloc.a in small virtual machines, for what cannot be switched here without
# getting in everybody's way: strict overcommit, very few mappings, huge pages everywhere, little memory.
# guest_init.sh is what a machine runs. It needs qemu and a kernel package; without them it is skipped
# (status 77). The last line says how many cases passed and failed.
#
# usage: run.sh [BUILD-FOLDER]      out/release if not given
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "${1:-out/release}" && pwd) || exit 1
work=$PWD/out/guest
support=tests/scripts/support
skip() {
  echo "skipped: $*"
  echo "0 passed, 0 failed"
  exit 77
}

archive=$(compgen -G "$build/libmimalloc*.a" | grep -v -e -multi -e -platform | head -n 1)
[ -n "$archive" ] || { echo "no libmimalloc.a in $build" && exit 1; }
[ "$(uname -m)" = x86_64 ] || skip "written for x86-64"
tools/setup.sh guest >/dev/null 2>&1 || skip "qemu, busybox or cpio cannot be installed"

# The kernel --------------------------------------------------------------------------------------------

# The newest package of the distribution's kernel for virtual machines; unpacked, never installed.
fetch_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: *\(linux-image-.*\)/\1/p' | head -n 1)
  [ -n "$package" ] || return 1
  (cd "$work" && apt-get -qq download "$package" && dpkg -x "$package"_*.deb kernel && rm -f "$package"_*.deb)
}
find_kernel() { compgen -G "$work/kernel/boot/vmlinuz-*" | head -n 1; }

mkdir -p "$work"
if [ -z "$(find_kernel)" ]; then
  fetch_kernel >/dev/null 2>&1 || { apt-get -qq update && fetch_kernel; } >/dev/null 2>&1
fi
kernel=$(find_kernel)
[ -n "$kernel" ] || skip "no kernel package to be had"

# The file system ---------------------------------------------------------------------------------------

root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,proc,sys,etc,tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp tests/guest/guest_init.sh "$root/init"
echo 'nobody:x:65534:65534::/:/bin/sh' >"$root/etc/passwd"
static() { # OUTPUT SOURCE [ARCHIVE]
  "${CC:-gcc}" -std=gnu11 -O1 -fno-builtin -static -s -pthread "$2" ${3:+"$3"} -o "$root/bin/$1"
}
for program in limits limits_later mappings memory_lock seccomp cgroup; do
  static $program $support/$program.c "$archive" || exit 1
done
static small tests/guest/small.c "$archive" || exit 1
static small_plain tests/guest/small.c || exit 1
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/initrd.gz"

# The machines ------------------------------------------------------------------------------------------

passed=0 failed=0
# machine MIB CASES...: each case is a function of guest_init.sh; "ok ..." and "FAIL ..." are counted.
machine() {
  local mib=$1 log=$work/log.$1
  shift
  echo "a machine with $mib MiB: $*"
  timeout 400 qemu-system-x86_64 -accel tcg -cpu max -m "$mib" -smp 2 -kernel "$kernel" \
    -initrd "$work/initrd.gz" -append "console=ttyS0 quiet panic=-1 mib=$mib cases=$(IFS=, && echo "$*")" \
    -nographic -no-reboot -net none </dev/null 2>&1 | tr -d '\r' >"$log"
  grep -E '^(ok|FAIL|info) ' "$log"
  passed=$((passed + $(grep -c '^ok ' "$log")))
  failed=$((failed + $(grep -c '^FAIL ' "$log")))
  if ! grep -q '^guest is done' "$log"; then
    failed=$((failed + 1))
    echo "FAIL the machine did not come to its end:"
    tail -n 20 "$log"
  fi
}

machine 512 overcommit few_mappings huge_pages locked_memory filtered service control_group
machine 128 overcommit huge_pages
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
