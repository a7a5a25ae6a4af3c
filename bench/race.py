#!/usr/bin/env python3
"""Race allocators over workloads and real programs, preloaded into the same binaries, interleaved in one run.

usage: bench/race.py [--group core|threads|more|real|all] [--quick] [--rounds N] [--minutes N] [--only WORD]
                     [--peers NAME,...] [--ours PATH] [--base PATH] [--no-watch] [--out FOLDER] [--json FILE] [--list] [--libraries]

Every round runs each allocator once, in another order each time, so that a slow minute of the
machine hits all of them. The tables show medians; `spread` is (max - min) / median. The best peer
of a column is the one with the lowest median. Ours is divided by it round by round; beside the
median of these ratios stands its 95 % interval (bootstrap). Where the limit lies inside of it, the
verdict is `unclear`; where it is wide, the row is `noisy`. All allocators must print the same.
At the end stand the geometric means of all rows, and what we want of them.

More peers:  PEERS="name=/path/to/lib.so ..." bench/race.py        Compiler:  CC=clang bench/race.py
With settings:  PEERS="level2=$PWD/out/release/libmimalloc.so,MIMALLOC_SECURE=2" bench/race.py
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from harness import BENCH, ROOT, Failure, building, fail, judging, peers, report, running, watching
from harness.rows import GROUPS, ROWS

QUICK_MINUTES = 4.5  # for all rows of `--quick`
ROUNDS = 7


class Budget:
    """How many rounds a row gets: a number, or what fits into the time that is left for it."""

    def __init__(self, rounds, minutes, row_count):
        self.rounds, self.rows_left = rounds, row_count
        self.end = time.monotonic() + 60 * minutes if minutes else None

    def row(self):
        """A go_on(rounds done) for the next row."""
        if self.end is None:
            return lambda done: done < self.rounds
        start = time.monotonic()
        share = max(0.0, self.end - start) / self.rows_left
        self.rows_left -= 1

        def go_on(done):
            spent = time.monotonic() - start
            return done == 0 or done < self.rounds and spent * (done + 1) / done <= share

        return go_on


def missing_for(row):
    """The programs that a real row needs and that are not here."""
    if not running.is_real(row):
        return ""
    asked = subprocess.run([BENCH / "program.sh", "--missing", row.command[1]], capture_output=True, text=True)
    return " ".join(asked.stdout.split())


def select_rows(options):
    rows = [row for row in ROWS if options.only in row.name and options.group in (row.group, "all")
            and (row.quick or not options.quick)]
    there = []
    for row in rows:
        if gone := missing_for(row):
            print(f"skipped: {row.name}, not installed: {gone} (see `tools/setup.sh bench`)")
        else:
            there.append(row)
    return there


def watch_row(result, allocators, environment, progress):
    """RSS over time, mappings, RSS after quiet, live bytes: one run each."""
    for name, library in allocators.items():
        if name in result.failures:
            continue
        progress(f"{result.row.name}, watched: {name}")
        try:
            result.watched[name] = watching.watch(library, result.row, peers.environment_of(name, environment))
        except Failure as failure:
            result.failures[name] = f"watched: {failure}"
    progress(f"{result.row.name}: live bytes")
    result.live_kib = watching.live_kib(peers.live_library(), result.row, environment)


def race_rows(rows, allocators, options, environment):
    progress = report.Progress(len(rows))
    budget = Budget(options.rounds, options.minutes, len(rows))
    results = []
    for row in rows:
        bump = peers.bump_library() if options.watch else None
        runs = running.race(row, allocators, environment, budget.row(), progress, bump)
        result = judging.Result(row, runs.of, runs.output, runs.failures, runs.bump, runs.no_bump)
        if options.watch:
            watch_row(result, allocators, environment, progress)
        progress.row_done()
        report.print_table(result)
        results.append(result)
    return results


def commit():
    shown = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return shown.stdout.strip() or "unknown"


def header_of(options, compiler, allocators):
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit(),
        "machine": report.machine(),
        "compiler": compiler,
        "load_at_start": os.getloadavg()[0],
        "rounds": options.rounds,
        "quick": options.quick,
        "allocators": {name: str(path or "") for name, path in allocators.items()},
        "versions": {name: peers.version_of(path) for name, path in allocators.items() if name != peers.OURS},
    }


def write_files(folder, header, results, asked):
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder / "results.json", header, results, asked)
    report.write_csv(folder / "results.csv", results)
    print(f"\nwritten: {folder}/results.json, {folder}/results.csv")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", choices=[*GROUPS, "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="a part of the rows, in five minutes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--minutes", type=int, default=0, metavar="N", help="fewer rounds where a row has no time for all")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose names contain WORD")
    parser.add_argument("--peers", default="", metavar="NAME,...", help="these peers only")
    parser.add_argument("--ours", type=pathlib.Path, metavar="PATH",
                        default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--base", type=pathlib.Path, metavar="PATH", help="one more peer: another build of ours")
    parser.add_argument("--no-watch", dest="watch", action="store_false",
                        help="no RSS over time and after quiet, no mappings, no limits (bump, live bytes)")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", default=ROOT / "out" / "bench" / "results")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="results.json once more, as FILE")
    parser.add_argument("--list", action="store_true", help="the rows and what they ask")
    parser.add_argument("--libraries", action="store_true", help="NAME=LIBRARY of all that take part")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    if options.quick:
        options.watch = False
        options.minutes = options.minutes or QUICK_MINUTES
    options.wanted = set(filter(None, options.peers.split(",")))
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is stopped, too
    options = parse_arguments()
    if options.list:
        for row in ROWS:
            print(f"{row.group:<9}{row.name:<17}{' '.join(row.command):<24}{row.asks}")
        return 0
    if options.libraries:
        for name, library in peers.find_allocators(options.ours, options.wanted, options.base).items():
            print(f"{name}={library or ''}")
        return 0
    if not (rows := select_rows(options)):
        fail(f"no such row; there are {', '.join(row.name for row in ROWS)}")
    compiler = building.build()
    allocators = peers.find_allocators(options.ours, options.wanted, options.base)
    environment = peers.clean_environment()
    header = header_of(options, compiler, allocators)
    report.print_conditions(f"up to {options.rounds}" if options.minutes else options.rounds)

    results = race_rows(rows, allocators, options, environment)
    report.print_verdicts(results)
    asked = list(judging.questions(results))
    report.print_questions(asked)
    write_files(options.out, header, results, asked)
    if options.json:
        shutil.copy(options.out / "results.json", options.json)
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
