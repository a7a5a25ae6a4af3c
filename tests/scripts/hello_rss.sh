#!/usr/bin/env bash
# `hello` under preload: peak RSS at most 256 KiB above glibc's (release build).
# For information: the same beside an empty preloaded library, page faults, system calls.
. "$(dirname "$0")/support/common.bash"
[ "$variant" = release ] || skip "a promise of the release build only"
runs=200 allowed=256

compile hello hello.c -O2
"${CC:-gcc}" -O1 -static "$root/tools/measure.c" -o measure || fail "cannot compile measure.c"
echo "typedef int nothing;" >empty.c
compile empty.so empty.c -shared -fPIC

for ((i = 0; i < runs; i++)); do  # interleaved
  ./measure plain ./hello >said.plain || fail "hello fails by itself"
  ./measure -p "$work/empty.so" empty ./hello >said.empty
  ./measure -p "$lib" ours ./hello >said.ours || fail "hello fails on our library"
done
cmp said.plain said.ours || fail "hello says something else on our library"

# Noise is upwards: more of a file's pages are mapped at a time.
least() { sort -n -k "$2,$2" "$1" | awk -v n="$2" 'NR == 3 { print $n }'; }
calls() {
  if strace -o trace "$@" >/dev/null 2>&1; then grep -c -v '+++' trace; else echo "?"; fi
}
row() { printf '%-22s %9s %9s %9s\n' "$@"; }
row "hello, third of $runs" glibc empty.so ours
row "peak RSS, KiB" "$(least plain 4)" "$(least empty 4)" "$(least ours 4)"
row "minor faults" "$(least plain 5)" "$(least empty 5)" "$(least ours 5)"
row "system calls" "$(calls ./hello)" "$(calls -E LD_PRELOAD="$work/empty.so" ./hello)" \
  "$(calls -E LD_PRELOAD="$lib" ./hello)"

more=$(($(least ours 4) - $(least plain 4)))
echo "ours takes $more KiB more than glibc, allowed are $allowed"
[ "$more" -le "$allowed" ] || fail "$more KiB is too much"
