#!/usr/bin/env bash
# What we cost a small program (release build): `hello` under preload takes at most 256 KiB of peak RSS,
# 8 system calls and 40 minor faults more than under an empty preloaded library, and opens nothing in
# /proc or /sys; also where transparent huge pages are always on, if we may switch them on.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = release ] || skip "a promise of the release build only"
runs=100

compile hello hello.c -O2
"${CC:-gcc}" -O1 -static "$root/tools/measure.c" -o measure || fail "cannot compile measure.c"
echo "typedef int nothing;" >empty.c
compile empty.so empty.c -shared -fPIC

# What a linker, cp or read-ahead has put into the page cache lies there in folios of up to 128 KiB, and Linux 6.18
# maps such a one as a whole when a page of it is touched: by chance 52 KiB more here. In /dev/shm pages are single.
if pages=$(mktemp -d /dev/shm/mi-hello.XXXXXX 2>/dev/null); then
  trap 'rm -rf "$work" "$pages"' EXIT
  cp "$lib" "$pages"
  [ -n "$(LD_PRELOAD=$pages/${lib##*/} true 2>&1)" ] || lib=$pages/${lib##*/} # it may be noexec
fi

row() { printf '%-28s %9s %9s %9s %9s\n' "$@"; }
# at_most LIMIT WHAT GLIBC EMPTY OURS
at_most() {
  row "$2" "$3" "$4" "$5" "$1"
  [ "$5" -le $(($4 + $1)) ] || { bad=$((bad + 1)) && echo "FAIL: $(($5 - $4)) more than empty.so"; }
}

# Noise is upwards: more of a file's pages are mapped at a time.
least() { sort -n -k "$2,$2" "$1" | awk -v n="$2" 'NR == 3 { print $n }'; }

# RSS and faults with huge pages as $1 says.
measure_memory() {
  rm -f plain empty ours
  for ((i = 0; i < runs; i++)); do # interleaved
    ./measure plain ./hello >said.plain || fail "hello fails by itself"
    ./measure -p "$work/empty.so" empty ./hello >said.empty
    ./measure -p "$lib" ours ./hello >said.ours || fail "hello fails on our library"
  done
  cmp said.plain said.ours || fail "hello says something else on our library"
  at_most 256 "peak RSS, KiB, THP $1" "$(least plain 4)" "$(least empty 4)" "$(least ours 4)"
  at_most 40 "minor faults, THP $1" "$(least plain 5)" "$(least empty 5)" "$(least ours 5)"
}

calls() { # NAME STRACE-OPTION...
  local name=$1
  shift
  strace -f -o "trace.$name" "$@" ./hello >/dev/null 2>err || return 1
  grep -c -v '+++' "trace.$name"
}
measure_calls() {
  calls plain >/dev/null || { echo "strace does not work here" && return; }
  at_most 8 "system calls" "$(calls plain)" "$(calls empty -E LD_PRELOAD="$work/empty.so")" \
    "$(calls ours -E LD_PRELOAD="$lib")"
  grep -E '"/(proc|sys)' trace.ours && bad=$((bad + 1)) && echo "FAIL: opens these"
}

thp=/sys/kernel/mm/transparent_hugepage/enabled
thp_now() { sed -n 's/.*\[\(.*\)\].*/\1/p' $thp 2>/dev/null || echo unknown; }

row "hello, third best of $runs" glibc empty.so ours allowed+
before=$(thp_now)
measure_memory "$before"
if [ "$before" != always ] && [ -w $thp ]; then
  trap 'echo "$before" >$thp; rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  if echo always >$thp; then measure_memory always; fi
  echo "$before" >$thp
fi
measure_calls
[ "$bad" -eq 0 ] || fail "$bad promises"
