#!/usr/bin/env python3
"""Does memory come back? The questions of giveback.c, asked of each allocator: promises 1, 2, 4, 5, 13 and 14.

usage: bench/giveback.py [--peers NAME,...] [--ours PATH] [--only WORD] [--rounds N] [--json FILE] [--document FILE]

Prints a table for each question, medians of the rounds. With --document the tables are written into that file (docs/memory.md)
between the two lines that name this program, and a picture of RSS over time beside it.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys

from harness import BENCH, OUT, ROOT, Failure, building, fail, peers, report, watching
from harness.rows import Row

# Question -> what it asks, and the columns: heading, and the figure of what the program has printed.
TAKEN = ("MiB taken", lambda v: v["full"] - v["base"])
LEFT_AT_ONCE = ("left at once", lambda v: v["freed"] - v["base"])
LEFT = ("left after 2 s", lambda v: v["rest"] - v["base"])
SHARE = ("given back, %", lambda v: 100 * (v["full"] - v["rest"]) / (v["full"] - v["base"]))
GIVEN_BACK = [TAKEN, LEFT_AT_ONCE, LEFT, SHARE]
MS = ("ms", lambda v: v["ms"])
QUESTIONS = {
    "quiet": ("P1: four threads free 256 MiB of small blocks and wait; nobody calls", GIVEN_BACK),
    "alone": ("P1: the same by the only thread of a process", GIVEN_BACK),
    "trim": ("P2: as the first, and then the main thread calls malloc_trim", GIVEN_BACK),
    "sparse": ("P4: 300 000 blocks of 512 bytes to 2 KiB, 1 of 20 survives", GIVEN_BACK),
    "grow": ("P13: a block grows from 16 MiB to 2 GiB by half each time", [
        ("peak beyond the block, MiB", lambda v: v["peak"] - 2048), MS]),
    "calloc": ("P14: 1000 times calloc of a gigabyte", [("page faults", lambda v: v["faults"]), MS]),
    "maps": ("P5: ten seconds of blocks of 16 bytes to 2 MiB", [("mappings", lambda v: v["maps"]), TAKEN]),
}
DRAWN = ["quiet", "alone", "sparse", "grow"]
MARK = "<!-- bench/giveback.py: {} -->"


def build(compiler):
    command = [compiler, *building.CFLAGS, BENCH / "giveback.c", "-o", OUT / "giveback"]
    if subprocess.run([*map(str, command)]).returncode != 0:
        fail("cannot build giveback.c")


def values_of(output):
    return {name: float(value) for name, _, value in (word.partition("=") for word in output.split()[1:])}


def ask(question, allocators, rounds, environment):
    """(allocator -> figures by heading, allocator -> [[seconds, KiB], ...], allocator -> reason of its failure)."""
    row = Row(question, "more", ("giveback", question), "", frees=False, seconds=60)
    found, curves, failures = {name: [] for name in allocators}, {}, {}
    shuffler = random.Random(0)
    for _ in range(rounds):
        for name in shuffler.sample(list(allocators), len(allocators)):
            try:
                seen = watching.watch(allocators[name], row, environment)
                found[name].append(values_of(seen.output))
                curves[name] = seen.curve
            except Failure as failure:
                failures[name] = str(failure).splitlines()[0]
    columns = QUESTIONS[question][1]
    figures = {name: {heading: statistics.median(map(figure, its)) for heading, figure in columns}
               for name, its in found.items() if its and name not in failures}
    return figures, curves, failures


def table(question, figures, failures):
    asks, columns = QUESTIONS[question]
    headings = [heading for heading, _ in columns]
    yield f"\n**{asks}**\n"
    yield f"| | {' | '.join(headings)} |\n|---|{'---:|' * len(headings)}"
    for name, its in figures.items():
        yield f"| {name} | {' | '.join(f'{its[heading]:.1f}' for heading in headings)} |"
    for name, reason in failures.items():
        yield f"| {name} | {reason[:60]} |{' |' * (len(headings) - 1)}"


def write_into(document, lines, picture):
    begin, end = MARK.format("begin"), MARK.format("end")
    text = document.read_text()
    if begin not in text or end not in text:
        fail(f"{document} has no lines `{begin}` and `{end}`")
    before, after = text.split(begin)[0], text.split(end)[1]
    shown = [f"\n![RSS over time, MiB over seconds]({document.stem}/{picture.name})"] if picture else []
    document.write_text("\n".join([before + begin, *lines, *shown, end + after]))


def draw(results, folder):
    """The picture; None without matplotlib."""
    if not (python := report.python_that_draws()):
        return None
    if subprocess.run([python, BENCH / "pictures.py", "--giveback", results, folder]).returncode != 0:
        fail("no picture")
    return folder / "giveback.png"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", default="", metavar="WORD", help="questions whose names contain WORD")
    parser.add_argument("--peers", default="", metavar="NAME,...", help="these peers only")
    parser.add_argument("--ours", type=pathlib.Path, default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", default=OUT / "results" / "giveback.json")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE")
    return parser.parse_args()


def main():
    options = parse_arguments()
    build(building.build())
    allocators = peers.find_allocators(options.ours, set(filter(None, options.peers.split(","))))
    environment = peers.clean_environment()
    answers, lines = {}, [f"\n{report.machine()}; medians of {options.rounds} interleaved runs, MiB above what was there before."]
    for question in (q for q in QUESTIONS if options.only in q):
        figures, curves, failures = ask(question, allocators, options.rounds, environment)
        answers[question] = {"figures": figures, "curves": curves, "failures": failures, "drawn": question in DRAWN}
        its = list(table(question, figures, failures))
        print("\n".join(its), flush=True)
        lines += its
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(answers) + "\n")
    if options.document:
        picture = draw(options.json, options.document.with_suffix(""))
        write_into(options.document, lines, picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
