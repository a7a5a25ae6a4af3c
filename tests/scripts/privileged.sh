#!/usr/bin/env bash
# A setuid program, and one with file capabilities, ignore the options of the environment; a plain copy
# of the same program reads them. Once linked with the archive, once with the shared library.
. "$(dirname "$0")/support/common.bash"
[ "$(id -u)" -eq 0 ] || skip "only root can make a setuid program for somebody else"
command -v setpriv >/dev/null || skip "no setpriv"
name=${lib##*/lib} && name=${name%.so}
chmod 755 "$work"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
"${nobody[@]}" test -r "$lib" || skip "nobody cannot read $lib"

compile static privileged.c "$out/lib$name.a" -static
compile shared privileged.c -L"$out" -l"$name" -Wl,-rpath,"$out"

# expect WHAT PROGRAM: run as nobody, with options in the environment.
expect() {
  local said
  said=$("${nobody[@]}" env MIMALLOC_PURGE_DELAY=4711 MIMALLOC_VERBOSE=1 MIMALLOC_SHOW_STATS=1 "./$2" 2>err)
  [ "$said" = "$1" ] || { cat err && fail "$2 says: $said; expected: $1"; }
  # What is ignored is not written about either.
  if [ "${1%% *}" = privileged ] && [ -s err ]; then cat err && fail "$2 writes messages"; fi
  echo "ok   $2: $said"
}

for kind in static shared; do
  expect "ordinary 4711" $kind
  cp $kind $kind.setuid && chmod 4755 $kind.setuid
  [ -n "$(find . -name $kind.setuid -perm -4000)" ] || fail "cannot make a setuid program"
  if findmnt -n -o OPTIONS -T . | grep -qw nosuid; then skip "$work is mounted nosuid"; fi
  expect "privileged 1000" $kind.setuid
  cp $kind $kind.setcap
  if setcap cap_net_raw+ep $kind.setcap 2>/dev/null; then
    expect "privileged 1000" $kind.setcap
  else
    echo "no setcap here"
  fi
done
