#!/usr/bin/env python3
"""What hardening costs: the race of the same library at levels 0 to 4 of MIMALLOC_SECURE, with guarded sampling, and scudo.

usage: bench/levels.py [OPTION OF race.py...]        results in out/bench/levels

Prints for each level the geometric means of time and of peak RSS, divided by level 0 round by round, over the real programs and over
all rows, and the row that pays most; and what issue 8 asks for. Exit status 1 if that is not kept.
"""
import json
import os
import statistics
import subprocess
import sys

from harness import BENCH, OUT, ROOT, fail
from harness.judging import geometric_mean

OURS = "ours"
SCUDO = "scudo"
SAMPLED = "sampled"
LEVELS = [f"level{level}" for level in range(1, 6)]
# Name -> at most this time over the real programs, and over all rows.
ASKED = {"level2": (1.04, 1.10), "level3": (1.06, 1.15), "level4": (1.12, 1.45), SAMPLED: (1.005, 1.005)}
MEMORY_ASKED = {"level4": 1.25}


def race(arguments, folder):
    library = ROOT / "out" / "release" / "libmimalloc.so"
    entries = [f"{level}={library},MIMALLOC_SECURE={level[-1]}" for level in LEVELS]
    entries.append(f"{SAMPLED}={library},MIMALLOC_GUARDED_SAMPLE_RATE=4000")
    command = [sys.executable, BENCH / "race.py", "--no-watch", "--out", folder,
               "--peers", ",".join([*LEVELS, SAMPLED, SCUDO]), *arguments]
    subprocess.run([*map(str, command)], env={**os.environ, "PEERS": " ".join(entries)})


def ratios(rows, name, column, real_only):
    """Row -> the median of the ratios to level 0, round by round."""
    found = {}
    for row, its in rows.items():
        runs = its["runs"]
        if name in runs and OURS in runs and (its["real"] or not real_only):
            values = [cost(run, column) / cost(base, column) for run, base in zip(runs[name], runs[OURS]) if cost(base, column)]
            found[row] = statistics.median(values)
    return found


def cost(run, column):
    return run["user"] + run["system"] if column == "cpu" else run[column]


def line(rows, name):
    """(text, whether what is asked is kept): the geometric means of the medians."""
    real, everything = (ratios(rows, name, "wall", only) for only in (True, False))
    memory = ratios(rows, name, "peak_kib", False)
    if not everything:
        return f"  {name:<9}no row", False
    means = [geometric_mean(list(its.values())) if its else 0 for its in (real, everything, memory)]
    limits = [*ASKED.get(name, (0, 0)), MEMORY_ASKED.get(name, 0)]
    kept = all(mean <= limit or limit == 0 for mean, limit in zip(means, limits))
    cells = "".join(f"{mean:9.3f}{f' of {limit}' if limit else '':<9}" for mean, limit in zip(means, limits))
    worst = max(everything, key=everything.get)
    return f"  {name:<9}{cells}  {worst} {everything[worst]:.2f}", kept


def slower_than_scudo(rows):
    """Rows and levels."""
    found = []
    for name in LEVELS:
        for row, its in rows.items():
            medians = its["medians"]
            if name in medians and SCUDO in medians and medians[name]["wall"] > medians[SCUDO]["wall"]:
                found.append(f"{row} at {name}")
    return found


def main():
    folder = OUT / "levels"
    race(sys.argv[1:], folder)
    if not (folder / "results.json").exists():
        fail("the race has left no results")
    rows = json.loads((folder / "results.json").read_text())["workloads"]
    print(f"\nhardening, divided by level 0\n  {'':<9}{'time, real':<18}{'time, all':<18}{'peak RSS':<18}  the row that pays most")
    lines = [line(rows, name) for name in [*LEVELS, SAMPLED, SCUDO]]
    for text, kept in lines:
        print(f"{text}{'' if kept else '   NOT'}")
    slower = slower_than_scudo(rows)
    print(f"  slower than scudo: {', '.join(slower) or 'nowhere'}")
    return 0 if all(kept for _, kept in lines) and not slower else 1


if __name__ == "__main__":
    sys.exit(main())
