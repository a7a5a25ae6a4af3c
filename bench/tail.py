#!/usr/bin/env python3
"""How long do single calls of malloc and free take: the median, and the slowest ones?

usage: bench/tail.py [--rounds N] [--peers NAME,...] [--ours PATH] [--calls N] [--json FILE]

Runs tail.c with each allocator, interleaved, each call timed by the processor's time stamp counter. The tables
show p50, p99, p99.9, p99.99 and the maximum in ns, as medians of the rounds; on the right the same without the
calls that had a page fault, and how many those were. `malloc+use` is a malloc and the first read of
its block: some allocators look at a block when they hand it out, others leave that cache miss to the program. At the end: is a peer better at p50, p99 or p99.99?
A difference of a few ns is one of the clock, so only what is above by more than 3 % and 5 ns counts.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

from harness import OUT, ROOT, building, fail, peers, report

QUANTILES = ["p50", "p99", "p99.9", "p99.99", "max"]
JUDGED = ["p50", "p99", "p99.99"]
KINDS = ["malloc", "malloc+use", "free"]
JUDGED_KINDS = ["malloc", "free"]
TIMEOUT_SECONDS = 120


def run_once(library, calls, environment):
    """(kind, class) -> {"calls": n, quantile: ns, "curve": [[ns, calls], ...]}."""
    environment = {**environment, **({"LD_PRELOAD": str(library)} if library else {})}
    done = subprocess.run([OUT / "tail", str(calls)], env=environment, capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS)
    if done.returncode != 0 or "cannot be preloaded" in done.stderr:
        fail(f"tail: {done.stderr.strip()[-200:] or done.returncode}")
    found = {}
    lines = done.stdout.splitlines()
    for line, curve in zip(lines[::2], lines[1::2]):
        kind, which, count, *values = line.split()
        found[kind, which] = {"calls": int(count), **dict(zip(QUANTILES, map(float, values)))}
        pairs = (pair.split(":") for pair in curve.split()[1:])
        found[kind, which]["curve"] = [[float(ns), int(calls_there)] for ns, calls_there in pairs]
    return found


def typical(rounds, key):
    """The medians of all rounds, with the curve of the first one."""
    its = [found[key] for found in rounds]
    return {**its[0], **{name: statistics.median(one[name] for one in its) for name in ["calls", *QUANTILES]}}


def race(allocators, options, environment):
    rounds = {name: [] for name in allocators}
    shuffler = random.Random(0)
    for _ in range(options.rounds):
        for name in shuffler.sample(list(allocators), len(allocators)):
            rounds[name].append(run_once(allocators[name], options.calls, environment))
    return {name: {" ".join(key): typical(its, key) for key in its[0]} for name, its in rounds.items()}


def print_table(kind, measured):
    heads = "".join(f"{name:>10}" for name in QUANTILES)
    print(f"\n{kind}, ns\n  {'allocator':<12}{heads}   without faults:{heads}{'faults':>9}")
    for name, its in measured.items():
        every, without = its[f"{kind} all"], its[f"{kind} nofault"]
        cells = ["".join(f"{one[q]:10.0f}" for q in QUANTILES) for one in (every, without)]
        print(f"  {name:<12}{cells[0]}{'':18}{cells[1]}{every['calls'] - without['calls']:9.0f}")


def judge(measured):
    """What peers are better in; none without ours."""
    if peers.OURS not in measured:
        return []
    lost = []
    for kind in JUDGED_KINDS:
        for quantile in JUDGED:
            ours = measured[peers.OURS][f"{kind} all"][quantile]
            others = {a: its[f"{kind} all"][quantile] for a, its in measured.items() if a != peers.OURS}
            if not others:
                continue
            best = min(others, key=others.get)
            if ours > others[best] * 1.03 and ours > others[best] + 5:
                lost.append(f"{kind} {quantile} {ours:.0f} ns, {best} {others[best]:.0f}")
    return lost


def build():
    compiler = building.build()
    command = [compiler, *building.CFLAGS, ROOT / "bench" / "tail.c", "-o", OUT / "tail"]
    if subprocess.run([*map(str, command)]).returncode != 0:
        fail("cannot build tail.c")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--calls", type=int, default=1500000, metavar="N")
    parser.add_argument("--peers", default="", metavar="NAME,...")
    parser.add_argument("--ours", type=pathlib.Path, default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", default=OUT / "results" / "tail.json")
    options = parser.parse_args()
    if os.uname().machine != "x86_64":
        fail("tail.c reads the time stamp counter of x86-64")
    build()
    allocators = peers.find_allocators(options.ours, set(filter(None, options.peers.split(","))))
    environment = peers.clean_environment()
    report.print_conditions(options.rounds)
    measured = race(allocators, options, environment)
    for kind in KINDS:
        print_table(kind, measured)
    lost = judge(measured)
    print(f"\n{'NOT ' if lost else 'ok  '} peers with a shorter p50, p99 or p99.99: {'; '.join(lost) or 'none'}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": report.machine(), "lost": lost, "allocators": measured}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
