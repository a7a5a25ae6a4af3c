#!/usr/bin/env python3
"""Write docs/benchmarks.md and its pictures from what the others have left (bench/all.sh runs them all).

usage: bench/document.py [RESULTS_FOLDER [DOCUMENT]]       out/bench/results, docs/benchmarks.md

The pictures go into a folder beside the document that is named like it. They need matplotlib, for some python3.
"""
import json
import pathlib
import subprocess
import sys

from harness import BENCH, OUT, ROOT, fail, report
from harness.judging import NOISY

OURS = "ours"
INSTRUCTIONS_ASKED = {"lifo1 64": 46, "batch 16": 45, "batch 64": 45, "batch 512": 63, "random 64": 65, "mixed 1024": 68,
                      "mixed 8000": 100, "mixed 60000": 150}
PICTURES = {
    "time": "Time of each row, as a multiple of ours",
    "rss": "Peak RSS of each row, as a multiple of ours",
    "plane": "Time and memory at once, all rows",
    "rss_over_time": "RSS over time; dotted: live bytes at the peak",
    "tail": "Which share of the calls takes longer",
}


def draw(results, folder):
    """The pictures that could be drawn; none without matplotlib."""
    if not (python := report.python_that_draws()):
        return []
    for name in PICTURES:
        (folder / f"{name}.png").unlink(missing_ok=True)
    if subprocess.run([python, BENCH / "pictures.py", results, folder]).returncode != 0:
        fail("no pictures")
    return [name for name in PICTURES if (folder / f"{name}.png").exists()]


def cell(row, column):
    its = row["ours_over_best"].get(column)
    if not its:
        return "-"
    noisy = " noisy" if its["high"] - its["low"] > NOISY else ""
    return f"{its['ratio']:.2f} [{its['low']:.2f}-{its['high']:.2f}] {its['best']}{noisy}"


def mib(kib):
    return f"{kib / 1024:.1f}" if kib else "-"


def quiet_cell(row):
    """Ours, and the least of the others."""
    watched = row["watched"]
    ours = watched.get(OURS, {}).get("quiet_kib", 0)
    others = {a: w["quiet_kib"] for a, w in watched.items() if a not in (OURS, "scudo") and w["quiet_kib"]}
    if not ours or not others:
        return "-"
    best = min(others, key=others.get)
    return f"{mib(ours)} / {mib(others[best])} {best}"


def per_live(row):
    live = row["limit"]["live_kib"]
    ours = row["medians"].get(OURS)
    return f"{ours['peak_kib'] / live:.2f}" if live and ours else "-"


def bump_cell(row):
    """The time of the allocator that never frees, by ours."""
    bump, ours = row["limit"]["bump"], row["medians"].get(OURS)
    if not bump or not ours:
        return "-"
    times = sorted(run["wall"] for run in bump)
    return f"{times[len(times) // 2] / ours['wall']:.2f}"


def name_cell(name, row, rounds):
    """With the number of rounds, where there was no time for all of them."""
    done = len(row["runs"].get(OURS, []))
    return name if done == rounds else f"{name} ({done} rounds)"


def table(rows, rounds):
    yield "| row | time | CPU | peak RSS | quiet: ours / least, MiB | peak by live bytes | never freeing, time |"
    yield "|---|---|---|---|---|---:|---:|"
    for name, row in rows.items():
        cells = [name_cell(name, row, rounds), cell(row, "time"), cell(row, "cpu"), cell(row, "rss"), quiet_cell(row), per_live(row), bump_cell(row)]
        yield f"| {' | '.join(cells)} |"


def where_we_lose(rows):
    """A line for each row in which a peer is better by its whole interval, worst first."""
    lost = []
    for name, row in rows.items():
        for column, its in row["ours_over_best"].items():
            if column != "cpu" and its["low"] > 1.0 and not (column == "time" and row["insensitive"]):
                lost.append((its["ratio"], f"- {name}, {column}: {its['ratio']:.2f} times {its['best']}"))
    yield from (line for _, line in sorted(lost, reverse=True)[:30])
    if not lost:
        yield "Nowhere: in no row is a peer better by its whole interval."


def failures(rows):
    for name, row in rows.items():
        for allocator, reason in row["failures"].items():
            yield f"- {name}, {allocator}: {reason.splitlines()[0][:140]}"


def warnings(document):
    if document["load_at_start"] > 0.5:
        yield f"**The machine was not idle (load {document['load_at_start']:.1f}): the times are no evidence.**\n"
    if document["rounds"] < 6 or document["quick"]:
        yield f"**Only {document['rounds']} round(s): a trial of the harness, not a result.**\n"


def tail_lines(path):
    if not path.exists():
        return
    tail = json.loads(path.read_text())
    yield "\n## Single calls\n"
    yield "ns by the time stamp counter, in a mixed workload (`bench/tail.py`); in brackets without page faults.\n"
    yield "| allocator | " + " | ".join(f"{kind} {q}" for kind in ("malloc", "free") for q in ("p50", "p99", "p99.99", "max")) + " |"
    yield "|---|" + "---:|" * 8
    for name, its in tail["allocators"].items():
        cells = [f"{its[f'{kind} all'][q]:.0f} ({its[f'{kind} nofault'][q]:.0f})"
                 for kind in ("malloc", "free") for q in ("p50", "p99", "p99.99", "max")]
        yield f"| {name} | {' | '.join(cells)} |"
    yield f"\nA peer is shorter in: {'; '.join(tail['lost']) or 'none'}."


def scaling_lines(path):
    if not path.exists():
        return
    scaling = json.loads(path.read_text())
    yield "\n## Scaling\n"
    yield "Millions of blocks per second with 1 to 8 threads per core, the same work (`bench/scaling.py`).\n"
    yield "| | 1x | 2x | 4x | 8x |\n|---|---:|---:|---:|---:|"
    for program, speeds in scaling["millions_per_second"].items():
        for allocator, its in speeds.items():
            yield f"| {program}, {allocator} | {' | '.join(f'{speed:.1f}' for speed in its.values())} |"
    yield f"\nOurs falls or sleeps in: {', '.join(scaling['broken']) or 'none'}."


def instruction_lines(path):
    """From lines like `batch 64     ours:45.0 glibc:60.1`."""
    if not path.exists() or not path.read_text().strip():
        return
    rows = []
    for line in path.read_text().splitlines():
        words = line.split()
        cells = dict(word.split(":") for word in words if ":" in word)
        rows.append((" ".join(word for word in words if ":" not in word), cells))
    yield "\n## Instructions per pair of malloc and free\n"
    yield "By callgrind, the loop and the calls included (`bench/icount.sh`).\n"
    yield f"| | asked | {' | '.join(rows[0][1])} |\n|---|---:|{'---:|' * len(rows[0][1])}"
    for pattern, cells in rows:
        yield f"| {pattern} | {INSTRUCTIONS_ASKED.get(pattern, '')} | {' | '.join(cells.values())} |"


def lines_of(document, results, pictures, folder_name):
    rows = document["workloads"]
    yield "# Benchmarks\n"
    yield "Written by `make bench` (`bench/document.py`); not to be edited. What is raced and how: [bench/README.md](../bench/README.md).\n"
    yield from warnings(document)
    yield f"{document['date']}, commit {document['commit']}, {document['rounds']} rounds, {document['compiler']}. {document['machine']}.\n"
    yield from (f"- {name}: {version}" for name, version in document["versions"].items())
    yield "\nTo repeat it: `make bench` on an idle machine; `make bench-quick` for a part of it in five minutes.\n"
    yield "## What we want, and what there is\n"
    yield "| | asked | answer |\n|---|---|---|"
    yield from (f"| {'yes' if q['kept'] else '**no**'} | {q['asks']} | {q['answer']} |" for q in document["questions"])
    yield "\n## Where we lose\n"
    yield from where_we_lose(rows)
    for name in pictures:
        yield f"\n![{PICTURES[name]}]({folder_name}/{name}.png)"
    sensitive = {n: row for n, row in rows.items() if not row["insensitive"]}
    for title, real in (("Small workloads", False), ("Real programs", True)):
        its = {n: row for n, row in sensitive.items() if row["real"] == real}
        if its:
            yield f"\n## {title}\n\nOurs / best peer of the column [95 % interval].\n"
            yield from table(its, document["rounds"])
    if apart := {n: row for n, row in rows.items() if row["insensitive"]}:
        yield "\n## Insensitive rows\n\nAll peers take the same time within 2 %; not in the means of time.\n"
        yield from table(apart, document["rounds"])
    yield from tail_lines(results / "tail.json")
    yield from scaling_lines(results / "scaling.json")
    yield from instruction_lines(results / "icount.txt")
    if lines := list(failures(rows)):
        yield "\n## Failures\n"
        yield from lines


def main():
    results = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT / "results"
    target = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "benchmarks.md"
    if not (results / "results.json").exists():
        fail(f"no {results}/results.json: run bench/race.py first")
    document = json.loads((results / "results.json").read_text())
    folder = target.with_suffix("")
    pictures = draw(results, folder)
    target.write_text("\n".join(lines_of(document, results, pictures, folder.name)) + "\n")
    print(f"written: {target}, {len(pictures)} pictures in {folder}")


if __name__ == "__main__":
    main()
