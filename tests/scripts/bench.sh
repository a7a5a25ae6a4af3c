#!/usr/bin/env bash
# The workloads of bench/ lose nothing: each, in small, prints the same on the C library's allocator and
# on ours, and those with threads under TSan as well. And the race judges as its README says.
. "$(dirname "$0")/support/common.bash"

strict="-Wpedantic -Wshadow -Wconversion -Werror"

# small ROW...: a program and arguments that take a few hundredths of a second.
small=(
  "cfrac 17976931348623157 60" "tree 20 8 1000 500 2" "replace small 50000 1000" "replace middle 50000 1000"
  "replace skewed 50000 1000" "threads 3 3 5000" "hello" "glibc simple 20000" "large 30 4" "compiler 4"
  "logic 8 20 5"
)
small_threads=(
  "larson 4 100000 2000 5000" "larson 5 3" "xmalloc 2 100000" "xmalloc 5 100000" "mstress 4 60000 6"
  "rptest 4 40000 1000" "rptest 1 10000" "sh8 4 100000" "sh8 5 3" "cache thrash 4 400 20"
  "cache scratch 4 400 20" "visitors 8 100000" "visitors 7 10 3" "larson_sized 4 100000 2000 5000"
  "alloctest 1 50000 1000" "alloctest 4 50000 1000" "sh6 4 100000" "sh6 5 3" "glibc thread 4 50000" "leak 4 50000 5"
  "crowd 50 50000 5"
)

libraries() { case $1 in *_sized*) echo -lstdc++ ;; esac; }
for source in "$root"/bench/workloads/*.c; do
  # shellcheck disable=SC2086,SC2046  # several words
  compile "$(basename "$source" .c)" "$source" $strict $(libraries "$source")
done
# shellcheck disable=SC2086
compile libnolock.so "$root/bench/nolock.c" $strict -shared -fPIC
preloads=nolock
if [ "$bits" = 64 ]; then
  preloads="nolock bump live"
  for preload in bump live; do
    # shellcheck disable=SC2086
    compile lib$preload.so "$root/bench/$preload.c" $strict -shared -fPIC
  done
fi

# shellcheck disable=SC2086  # several arguments
for row in "${small[@]}" "${small_threads[@]}"; do
  read -r program arguments <<<"$row"
  timeout 60 ./$program $arguments >plain 2>&1 || complain plain "$row: status $?"
  timeout 60 env LD_PRELOAD="$lib" ./$program $arguments >ours 2>&1 || complain ours "$row: status $? on ours"
  cmp -s plain ours || complain ours "$row prints something else on ours"
  for preload in $preloads; do
    timeout 60 env LD_PRELOAD="$PWD/lib$preload.so" ./$program $arguments >other 2>&1
    cmp -s plain other || complain other "$row prints something else on $preload"
  done
done

# shellcheck disable=SC2086,SC2046
if [ "$variant" = release ] && [ "${MI_BITS:-64}" = 64 ]; then
  for row in "${small_threads[@]}"; do
    read -r program arguments <<<"$row"
    [ -f $program.tsan ] || compile $program.tsan "$root/bench/workloads/$program.c" -fsanitize=thread $(libraries "$program")
    TSAN_OPTIONS=halt_on_error=1 timeout 60 ./$program.tsan $arguments >tsan 2>&1 || complain tsan "$row: status $? under TSan"
  done
fi

# Each question of giveback is answered by figures, by the C library and by ours.
if [ "$variant" = release ] && [ "$bits" = 64 ]; then
  # shellcheck disable=SC2086
  compile giveback "$root/bench/giveback.c" $strict
  for question in sparse calloc; do
    for preload in "" "$lib"; do
      LD_PRELOAD=$preload timeout 60 ./giveback $question >other 2>&1 || complain other "giveback $question: status $?"
      grep -Eq "^$question( [a-z]+=[0-9.]+)+$" other || complain other "giveback $question prints no figures"
    done
  done
fi

# What `live` counts: large has 4 blocks of up to 25 MiB, and never more.
if [ "$bits" = 64 ]; then
  mkdir live
  LIVE_DIRECTORY=live LD_PRELOAD=$PWD/liblive.so ./large 30 4 >other 2>&1 || complain other "large on live"
  mib=$(($(od -An -t u8 live/* | tr -d ' ') >> 20))
  [ $mib -ge 40 ] && [ $mib -le 100 ] || complain other "live counts $mib MiB"
fi

PYTHONPATH=$root/bench python3 -B - <<'EOF' || fail "the race judges wrongly"
from harness import judging, rows
from harness.judging import Result, interval
from harness.running import Run
from harness.watching import Watched, around_quiet

ROWS = {group: next(row for row in rows.ROWS if row.group == group) for group in rows.GROUPS}
one = [1.0] * 7

def result(group, ours, peer, ours_kib, peer_kib, glibc_kib=1, glibc=9.0):
    """Rounds in which ours takes these seconds, a peer these; the C library is slow and small."""
    seconds = {"ours": ours, "peer": peer, "glibc": [glibc] * len(ours)}
    kib = {"ours": ours_kib, "peer": peer_kib, "glibc": glibc_kib}
    runs = {a: [Run(s, s, 0.0, kib[a], 0) for s in seconds[a]] for a in seconds}
    return Result(ROWS[group], runs)

def expect(verdict, *measured):
    got = result(*measured).verdict()
    assert got == verdict, f"{measured}: {got}, not {verdict}"

expect("ok", "threads", [1.05] * 7, one, 110, 100)
expect("BEHIND in time", "threads", [1.06] * 7, one, 110, 100)
expect("BEHIND in rss", "threads", one, one, 111, 100)
expect("BEHIND in rss", "core", one, one, 100, 100)  # the C library's counts there
expect("unclear in time", "threads", [1.02, 1.03, 1.04, 1.04, 1.06, 1.07, 1.08], one, 100, 100)
expect("ok, noisy in time", "threads", [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0], one, 100, 100)
expect("BEHIND in time and rss, noisy in time", "threads", [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], one, 120, 100)
low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
assert (low, high) == (2.0, 6.0), (low, high)  # 95 % of the medians of seven draws, by the binomial

def answers(*results):
    """micro, real, no row behind; peak, no row above; quiet; plane"""
    return [question.kept for question in judging.questions(list(results))][:7]

def check(kept, *results):
    got = answers(*results)
    assert got == kept, f"{got}, not {kept}"

fast, real = result("core", [0.9] * 7, one, 90, 100, 95), result("real", one, one, 100, 100, 100)
check([True, True, True, True, True, False, True], fast, real)
check([True, False, True, True, True, False, True], fast)  # no real row shows nothing
check([False, True, True, True, True, False, True], result("core", [0.96] * 7, one, 90, 100, 95), real)
check([True, False, True, True, True, False, True], fast, result("real", [1.04] * 7, one, 100, 100, 100))
slow = result("core", [1.06] * 7, one, 100, 100, 116)
assert answers(slow, fast)[2] is False and answers(fast)[2] is True
assert answers(result("core", one, one, 116, 100, 100))[3:5] == [False, False]
assert answers(result("core", one, one, 95, 100, 100), result("core", one, one, 104, 100, 100))[3:5] == [True, True]
assert answers(slow)[6] is False  # the peer is better in time
assert result("core", one, one, 100, 100, 100, 1.015).insensitive
assert not result("core", one, one, 100, 100, 100, 1.03).insensitive
assert answers(result("core", [1.5] * 7, one, 1, 1, 1, 1.01))[:3] == [False, False, True]  # insensitive rows are apart

# A load of 4 seconds, 5 of quiet, and an end of 0.4.
samples = [[t / 10, 100 if t <= 40 else 50 if t <= 90 else 1] for t in range(95)]
assert around_quiet(Watched(exact=samples), 5) == (100, 50)

quiet = {"ours": Watched(quiet_kib=10), "peer": Watched(quiet_kib=10), "scudo": Watched(quiet_kib=5)}
fast.watched = quiet
assert answers(fast)[5] is True  # scudo does not count
fast.watched = {**quiet, "peer": Watched(quiet_kib=9)}
assert answers(fast)[5] is False
EOF

PYTHONPATH=$root/bench:$root/tools python3 -B - <<'EOF' || fail "the check of costs or the tail judges wrongly"
import check_costs, tail

known, costs = check_costs.read_costs()
assert known.startswith("cc") and len(costs) > 10 and all(number > 0 for _, _, number in costs)
assert check_costs.verdict("instructions", 47.0, 47.5) == "GREW" and check_costs.verdict("instructions", 47.0, 47.4) == "ok"
assert check_costs.verdict("instructions", 47.0, 46.0) == "less"
assert check_costs.verdict("peak_kib", 10000.0, 10400.0) == "GREW" and check_costs.verdict("peak_kib", 10000.0, 10300.0) == "ok"

def measured(**ns):
    return {a: {f"{kind} all": {"p50": n, "p99": n, "p99.99": n} for kind in tail.KINDS} for a, n in ns.items()}

assert tail.judge(measured(ours=20, peer=20)) == []
assert tail.judge(measured(ours=24, peer=20)) == []  # that is the clock's
assert len(tail.judge(measured(ours=26, peer=20))) == 6
assert tail.judge(measured(ours=1020, peer=1000)) == [] and len(tail.judge(measured(ours=1040, peer=1000))) == 6
EOF
[ $bad -eq 0 ]
