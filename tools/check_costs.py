#!/usr/bin/env python3
"""Check that instructions and peak RSS have not grown: measure what tools/costs.txt lists, compare.

usage: tools/check_costs.py [--update] [--ours PATH]     --update: write what was measured into the file

Instructions are those of a malloc+free pair (bench/icount.sh), so they are the same on a busy machine; the
limit is 1 % above what the file says. Peak RSS is the least of five runs; its limit is 2 % and 128 KiB above. What has
become cheaper is only said: then run it with --update, and commit the file with the change that did it.
Figures of another compiler are no comparison: the check is then skipped (status 77).
"""
import argparse
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "tools" / "costs.txt"
CFLAGS = "-std=c11 -O2 -fno-builtin -pthread".split()
RSS_RUNS = 5


def shell(*command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, **options).stdout


def compiler():
    return shell("cc", "--version").splitlines()[0] if shutil.which("cc") else "none"


def read_costs():
    """What compiler, and [kind, subject, number] of each line."""
    known, costs = "", []
    for line in FILE.read_text().splitlines():
        if line.startswith("# compiler: "):
            known = line.removeprefix("# compiler: ")
        elif line and not line.startswith("#"):
            kind, *subject, number = line.split()
            costs.append([kind, " ".join(subject), float(number)])
    return known, costs


def write_costs(known, costs):
    comments = [line for line in FILE.read_text().splitlines() if line.startswith("#")]
    comments = [f"# compiler: {known}" if line.startswith("# compiler: ") else line for line in comments]
    lines = [f"{kind:<13}{subject:<34}{number:10.1f}" for kind, subject, number in costs]
    FILE.write_text("\n".join([*comments, *lines]) + "\n")


def build(work, source, *options):
    shell("cc", *CFLAGS, source, "-o", work / source.stem, *options)


def instructions(work, library, subject):
    """Of one pair, for a pattern and size of bench/pairs.c."""
    printed = shell(ROOT / "bench" / "icount.sh", work / "pairs", f"ours={library}",
                    env={**os.environ, "PATTERNS": subject})
    return float(printed.split("ours:")[1])


def peak_kib(work, library, subject):
    """Of a workload and its arguments."""
    program, *arguments = subject.split()
    peaks = []
    for _ in range(RSS_RUNS):
        report = work / "report"
        report.unlink(missing_ok=True)
        shell(work / "measure", "-p", library, report, work / program, *arguments)
        peaks.append(float(report.read_text().split()[3]))
    return min(peaks)


def measure_all(costs, library):
    with tempfile.TemporaryDirectory(prefix="costs.") as folder:
        work = pathlib.Path(folder)
        build(work, ROOT / "tools" / "measure.c", "-static")
        build(work, ROOT / "bench" / "pairs.c")
        for program in {subject.split()[0] for kind, subject, _ in costs if kind == "peak_kib"}:
            build(work, ROOT / "bench" / "workloads" / f"{program}.c")
        measures = {"instructions": instructions, "peak_kib": peak_kib}
        return [[kind, subject, measures[kind](work, library, subject)] for kind, subject, _ in costs]


def limit_of(kind, number):
    return number * 1.01 if kind == "instructions" else number * 1.02 + 128


def verdict(kind, before, now):
    if now > limit_of(kind, before):
        return "GREW"
    return "less" if limit_of(kind, now) < before else "ok"


def compare(costs, measured):
    """Prints a line for each; how many have grown."""
    grown = cheaper = 0
    for (kind, subject, before), (_, _, now) in zip(costs, measured):
        word = verdict(kind, before, now)
        grown += word == "GREW"
        cheaper += word == "less"
        print(f"{word:<5}{kind:<13}{subject:<34}{now:10.1f}, {before:.1f} before")
    if cheaper:
        print("some cost less now: tools/check_costs.py --update")
    return grown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--ours", type=pathlib.Path, default=ROOT / "out" / "release" / "libmimalloc.so")
    options = parser.parse_args()
    known, costs = read_costs()
    reason = ("x86-64 only" if platform.machine() != "x86_64" else "no valgrind" if not shutil.which("valgrind") else
              f"the figures are those of {known}" if compiler() != known and not options.update else "")
    if reason:
        print(f"skipped: {reason}")
        return 77
    try:
        measured = measure_all(costs, options.ours.resolve(strict=True))
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(getattr(error, "stderr", None) or error)
        return 2
    if options.update:
        write_costs(compiler(), measured)
        return 0
    return 1 if compare(costs, measured) else 0


if __name__ == "__main__":
    sys.exit(main())
