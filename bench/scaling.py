#!/usr/bin/env python3
"""Does throughput fall when there are more threads than cores, and does the allocator sleep?

usage: bench/scaling.py [--rounds N] [--only WORD] [--peers NAME,...|all] [--ours PATH] [--json FILE]

Runs larson, xmalloc, mstress and visitors (100 new threads that allocate and leave) with 1, 2, 4
and 8 times as many threads as there are cores; the work is the same for all. A table for each
shows medians of millions of blocks (allocated and freed) per second, and 8x over 1x with its 95 %
interval. It falls, if even the upper end of that is below 1.

Futex calls are counted by `strace -f -c` at 8x, in runs of their own. Those of the same program
with an allocator that never waits (nolock.c) are subtracted; the rest, per million blocks, must be
below 10. This is promise 15 (P15); the exit status is 1 where ours does not keep it.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

from harness import BENCH, OUT, ROOT, Failure, building, fail, judging, peers, report, running
from harness.rows import Row

# Program -> operations (blocks) of all threads together, about half a second.
PROGRAMS = {"larson": 30000000, "xmalloc": 20000000, "mstress": 30000000, "visitors": 60000000}
FACTORS = [1, 2, 4, 8]  # threads per core
FUTEX_LIMIT = 10  # calls per million operations
FUTEX_RUNS = 3
TIMEOUT_SECONDS = 120


def row_of(program, factor):
    threads = max(2, factor * os.cpu_count())  # xmalloc needs two
    command = (program, str(threads), str(PROGRAMS[program]))
    return Row(f"{program} at {factor}x", "threads", command, "the same work, by more threads")


def build_nolock(compiler):
    library = OUT / "libnolock.so"
    command = [compiler, *building.CFLAGS, "-shared", "-fPIC", BENCH / "nolock.c", "-o", library]
    if subprocess.run([*map(str, command)]).returncode != 0:
        fail("cannot build nolock.c")
    return library


def measure(program, allocators, rounds, environment):
    """Allocator -> factor -> millions of operations per second, round by round."""
    speeds = {a: {factor: [] for factor in FACTORS} for a in allocators}
    shuffler = random.Random(0)
    runs = [(a, factor) for a in allocators for factor in FACTORS]
    for _ in range(rounds):
        for allocator, factor in shuffler.sample(runs, len(runs)):
            run, _ = running.run_once(allocators[allocator], row_of(program, factor), environment)
            speeds[allocator][factor].append(PROGRAMS[program] / run.wall / 1e6)
    return speeds


def futex_calls(program, library, environment):
    """How often all threads of one run called futex, the median of a few runs."""
    arguments = row_of(program, FACTORS[-1]).command
    preload = ["-E", f"LD_PRELOAD={library}"] if library else []
    counts = []
    for _ in range(FUTEX_RUNS):
        with tempfile.NamedTemporaryFile("r") as table:
            command = ["strace", "-f", "--seccomp-bpf", "-c", "-e", "trace=futex", "-o", table.name,
                       *preload, OUT / arguments[0], *arguments[1:]]
            done = subprocess.run([*map(str, command)], env=environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS)
            if done.returncode != 0 or "cannot be preloaded" in done.stderr:
                raise Failure(f"strace: {done.stderr.strip()[-200:]}")
            rows = [line.split() for line in table if line.rstrip().endswith("futex")]
        counts.append(int(rows[0][3]) if rows else 0)
    return statistics.median(counts)


def compare(by_factor):
    """8x over 1x, round by round: its median, its interval, and what that says."""
    ratios = [many / one for one, many in zip(by_factor[FACTORS[0]], by_factor[FACTORS[-1]])]
    low, high = judging.interval(ratios)
    words = ["FALLS" if high < 1 else "does not fall"]
    if high - low > judging.NOISY:
        words.append("noisy")
    return statistics.median(ratios), low, high, words


def print_speeds(program, speeds, futexes, unavoidable):
    """Prints the table; returns whether ours keeps the promise."""
    million = PROGRAMS[program] / 1e6
    print(f"\n{program}, {million:.0f} million blocks: millions per second, by threads per core; "
          f"futex calls per million at {FACTORS[-1]}x\n"
          f"  {'allocator':<12}{''.join(f'{factor}x'.rjust(8) for factor in FACTORS)}"
          f"   {'8x / 1x':<20}{'futex':>8}")
    kept = True
    for allocator, by_factor in speeds.items():
        ratio, low, high, words = compare(by_factor)
        futex = (futexes[allocator] - unavoidable) / million
        if futex >= FUTEX_LIMIT:
            words.append("SLEEPS")
        if allocator == peers.OURS and {"FALLS", "SLEEPS"} & set(words):
            kept = False
        cells = "".join(f"{statistics.median(by_factor[factor]):8.1f}" for factor in FACTORS)
        ratio_cell = f"{ratio:.2f} [{low:.2f}-{high:.2f}]"
        print(f"  {allocator:<12}{cells}   {ratio_cell:<20}{futex:8.1f}   {', '.join(words)}")
    print(f"  (subtracted: {unavoidable / million:.1f} futex calls of the program itself)")
    sys.stdout.flush()
    return kept


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--only", default="", metavar="WORD", help="programs named like this")
    parser.add_argument("--peers", default="glibc", metavar="NAME,...", help="or `all`")
    parser.add_argument("--ours", type=pathlib.Path, metavar="PATH",
                        default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    options.programs = [program for program in PROGRAMS if options.only in program]
    if not options.programs or options.rounds < 1:
        parser.error(f"nothing to do; the programs are {', '.join(PROGRAMS)}")
    options.wanted = set() if options.peers == "all" else set(options.peers.split(","))
    return options


def main():
    options = parse_arguments()
    if not shutil.which("strace"):
        fail("no strace, see `tools/setup.sh bench`")
    nolock = build_nolock(building.build())
    allocators = peers.find_allocators(options.ours, options.wanted)
    if peers.OURS not in allocators:
        fail("nothing of ours to judge")
    environment = peers.clean_environment()
    report.print_conditions(options.rounds)

    broken, medians = [], {}
    for program in options.programs:
        try:
            speeds = measure(program, allocators, options.rounds, environment)
            futexes = {a: futex_calls(program, lib, environment) for a, lib in allocators.items()}
            unavoidable = futex_calls(program, nolock, environment)
        except (Failure, subprocess.TimeoutExpired) as failure:
            fail(f"{program}: {failure}")
        medians[program] = {a: {f"{factor}x": statistics.median(its) for factor, its in by_factor.items()}
                            for a, by_factor in speeds.items()}
        if not print_speeds(program, speeds, futexes, unavoidable):
            broken.append(program)
    if options.json:
        options.json.write_text(json.dumps({"broken": broken, "millions_per_second": medians}) + "\n")
    print(f"\nP15 {'does not hold: ' + ', '.join(broken) if broken else 'holds'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
