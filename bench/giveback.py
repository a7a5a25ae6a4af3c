#!/usr/bin/env python3
"""Does memory come back? The questions of giveback.c, asked of each allocator: promises 1, 2, 4, 5, 7, 13 and 14.

usage: bench/giveback.py [--programs] [--peers NAME,...] [--ours PATH] [--only WORD] [--rounds N] [--add] [--json FILE]
                         [--document FILE]

Prints a table for each question, medians of the rounds. With --document the tables are written into that file (docs/memory.md)
between the two lines that name this program, and a picture of RSS over time beside it. --programs: real programs of the race
are asked instead, what they have after their load and after five seconds of quiet. --add: rounds that FILE has count, so
what was interrupted goes on.
"""
import argparse
import json
import pathlib
import random
import signal
import statistics
import subprocess
import sys

from harness import BENCH, OUT, ROOT, Failure, building, fail, peers, report, watching
from harness.rows import ROWS, Row

# Question -> what it asks, and the columns: heading, the figure of what the program has printed, and what is shown of those of
# all rounds if it is not their median.
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
    "random": ("P7: reads at random in 8 GiB of blocks of 1 KiB, and in 8 GiB of large OS pages", [
        ("MiB in large OS pages", lambda v: v["huge"]), ("ns per read", lambda v: v["ns"]),
        ("of large OS pages", lambda v: v["large"]), ("speed, %", lambda v: 100 * v["large"] / v["ns"])]),
}
QUIET_SECONDS = 5
AFTER_QUIET = [("MiB after the load", lambda v: v["loaded"]),
               (f"after {QUIET_SECONDS} s of quiet", lambda v: v["rested"]),
               ("of that, max - min", lambda v: v["rested"], lambda them: max(them) - min(them))]
PROGRAMS = {
    "redis": ("redis, 60 000 writes and reads of each kind, then FLUSHALL", AFTER_QUIET),
    "rocksdb": ("rocksdb (db_bench), its data base still open", AFTER_QUIET),
    "postgres": ("postgres under pgbench, all of its processes; then no client is left", AFTER_QUIET),
    "python": ("python, arenas of its own; then its data are dropped", AFTER_QUIET),
    "python-malloc": ("the same, each object by malloc", AFTER_QUIET),
}
DRAWN = ["quiet", "alone", "sparse", "grow"]
MARK = "<!-- bench/giveback.py{}: {} -->"


def build(compiler):
    command = [compiler, *building.CFLAGS, BENCH / "giveback.c", "-o", OUT / "giveback"]
    if subprocess.run([*map(str, command)]).returncode != 0:
        fail("cannot build giveback.c")


def values_of(output):
    return {name: float(value) for name, _, value in (word.partition("=") for word in output.split()[1:])}


def look(question, library, environment):
    """(figures by name, [[seconds, KiB], ...])"""
    if question not in PROGRAMS:
        seen = watching.watch(library, Row(question, "more", ("giveback", question), "", frees=False, seconds=60), environment)
        return values_of(seen.output), seen.curve
    row = next(row for row in ROWS if row.name == question)
    seen = watching.watch(library, row, environment, QUIET_SECONDS)
    loaded, rested = (kib / 1024 for kib in watching.around_quiet(seen, QUIET_SECONDS))
    return {"loaded": loaded, "rested": rested}, seen.curve


def ask(question, answer, allocators, rounds, save):
    """Fills in what rounds are missing in the answer: figures, curves, reasons of failures; each by allocator."""
    environment = peers.clean_environment()
    shuffler = random.Random(0)
    for done in range(rounds):
        for name in shuffler.sample(list(allocators), len(allocators)):
            found = answer["found"].setdefault(name, [])
            if len(found) > done or name in answer["failures"]:
                continue
            try:
                figures, answer["curves"][name] = look(question, allocators[name], peers.environment_of(name, environment))
                found.append(figures)
            except Failure as failure:
                answer["failures"][name] = str(failure).splitlines()[0]
            save()


def shown(column, found):
    _, figure, *how = column
    return (how[0] if how else statistics.median)([figure(values) for values in found])


def table(asks, columns, answer, allocators):
    yield f"\n**{asks}**\n"
    yield f"| | {' | '.join(heading for heading, *_ in columns)} |\n|---|{'---:|' * len(columns)}"
    for name in allocators:
        if name in answer["failures"]:
            yield f"| {name} | {answer['failures'][name][:60]} |{' |' * (len(columns) - 1)}"
        else:
            figures = [shown(column, answer["found"][name]) for column in columns]
            yield f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |"


def write_into(document, which, lines, picture):
    begin, end = MARK.format(which, "begin"), MARK.format(which, "end")
    text = document.read_text()
    if begin not in text or end not in text:
        fail(f"{document} has no lines `{begin}` and `{end}`")
    before, after = text.split(begin)[0], text.split(end)[1]
    drawn = [f"\n![RSS over time, MiB over seconds]({document.stem}/{picture.name})"] if picture else []
    document.write_text("\n".join([before + begin, *lines, *drawn, end + after]))


def draw(results, folder):
    """The picture; None without matplotlib."""
    if not (python := report.python_that_draws()):
        return None
    if subprocess.run([python, BENCH / "pictures.py", "--giveback", results, folder]).returncode != 0:
        fail("no picture")
    return folder / "giveback.png"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", action="store_true", help="real programs of the race instead")
    parser.add_argument("--add", action="store_true", help="go on with what the file of --json has")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", default="", metavar="WORD", help="questions whose names contain WORD")
    parser.add_argument("--peers", default="", metavar="NAME,...", help="these peers only")
    parser.add_argument("--ours", type=pathlib.Path, default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    options.json = options.json or OUT / "results" / ("giveback-programs.json" if options.programs else "giveback.json")
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is stopped, too
    options = parse_arguments()
    build(building.build())
    allocators = peers.find_allocators(options.ours, set(filter(None, options.peers.split(","))))
    questions = PROGRAMS if options.programs else QUESTIONS
    options.json.parent.mkdir(parents=True, exist_ok=True)
    answers = json.loads(options.json.read_text()) if options.add and options.json.exists() else {}

    def save():
        options.json.write_text(json.dumps(answers) + "\n")

    of_what = "MiB" if options.programs else "MiB above what was there before"
    lines = [f"\n{report.machine()}; medians of {options.rounds} interleaved runs, {of_what}."]
    for question in (q for q in questions if options.only in q):
        answer = answers.setdefault(question, {"found": {}, "curves": {}, "failures": {}, "drawn": question in DRAWN})
        ask(question, answer, allocators, options.rounds, save)
        its = list(table(*questions[question], answer, allocators))
        print("\n".join(its), flush=True)
        lines += its
    if options.document:
        picture = None if options.programs else draw(options.json, options.document.with_suffix(""))
        write_into(options.document, " --programs" if options.programs else "", lines, picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
