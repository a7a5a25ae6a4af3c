"""How it is told: tables and a progress bar in the terminal, results.json, CSV."""
import csv
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict

from . import judging
from .judging import median, spread
from .peers import BUMP, OURS
from .rows import GROUPS

MIB = 1024.0  # in KiB, the unit of rusage
COLUMNS = ["wall", "cpu", "system", "peak_kib", "minor_faults"]


class Progress:
    """A bar on the last line of the terminal, if there is one."""

    def __init__(self, total):
        self.total, self.done = total, 0
        self.shows = sys.stderr.isatty()

    def __call__(self, text):
        if not self.shows:
            return
        width = 20
        full = width * self.done // self.total
        line = f"[{'#' * full}{'.' * (width - full)}] {self.done}/{self.total} {text}"
        print(f"\r\033[K{line[:shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)

    def row_done(self):
        self.done += 1
        if self.shows:
            print("\r\033[K", end="", file=sys.stderr)


def line_of(name, its, watched=None, live_kib=0):
    """One allocator of a row."""
    peak = median(its, "peak_kib")
    quiet = f"{watched.quiet_kib / MIB:.1f}" if watched and watched.quiet_kib else "-"
    mappings = watched.mappings if watched and watched.mappings else "-"
    per_live = f"{peak / live_kib:.2f}" if live_kib else "-"
    return (f"  {name:<12}{median(its, 'wall'):9.3f}{spread(its, 'wall'):8.1%}"
            f"{median(its, 'cpu'):9.3f}{spread(its, 'cpu'):8.1%}{median(its, 'system'):10.3f}"
            f"{peak / MIB:10.1f}{spread(its, 'peak_kib'):8.1%}{quiet:>10}{per_live:>10}"
            f"{median(its, 'minor_faults'):14.0f}{mappings:>10}")


def print_table(result):
    output = "; ".join(result.output.strip().splitlines())
    print(f"\n{result.row.name}: {result.row.asks}\n  prints {output[:150]}")
    print(f"  {'allocator':<12}{'wall s':>9}{'spread':>8}{'cpu s':>9}{'spread':>8}{'kernel s':>10}{'peak MiB':>10}{'spread':>8}"
          f"{'quiet MiB':>10}{'per live':>10}{'minor faults':>14}{'mappings':>10}")
    for allocator, its in result.runs.items():
        print(line_of(allocator, its, result.watched.get(allocator), result.live_kib))
    if result.bump:
        print(line_of(BUMP, result.bump, None, result.live_kib) + "   (limit: never frees)")
    elif result.no_bump:
        print(f"  {BUMP:<12}{'-':>9}   (limit: never frees) {result.no_bump[:80]}")
    if result.live_kib:
        print(f"  {'live bytes':<12}{'':>34}{result.live_kib / MIB:10.1f}   (limit: what the program has asked for)")
    for allocator, reason in result.failures.items():
        print(f"  {allocator:<12}FAILED: {reason}")
    if result.insensitive:
        print(f"  insensitive: all peers take the same time within {judging.INSENSITIVE:.0%}")
    sys.stdout.flush()


def print_rows(results):
    for result in results:
        cells = (f"{str(c or '-'):<28}" for c in (result.time, result.cpu, result.rss))
        print(f"  {result.row.name:<16}{''.join(cells)}{result.verdict()}")


def print_verdicts(results):
    """One line for each row, group by group; insensitive rows apart."""
    heading = f"  {'row':<16}{'time':<28}{'cpu':<28}{'rss':<28}verdict"
    for name, group in GROUPS.items():
        rows = [r for r in results if r.group is group and not r.insensitive]
        if not rows:
            continue
        without = f", without {', '.join(group.not_in_rss)}" if group.not_in_rss else ""
        print(f"\n{name}: ours / best peer [95 % interval]; ok: at most {group.time_limit:.2f} in time and "
              f"{group.rss_limit:.2f} in peak RSS (of the best there{without})\n{heading}")
        print_rows(rows)
    if apart := [r for r in results if r.insensitive]:
        print(f"\ninsensitive: all peers within {judging.INSENSITIVE:.0%} in time, not in the means of time\n{heading}")
        print_rows(apart)


def print_questions(questions):
    print("\nall rows together")
    for question in questions:
        print(f"  {'ok  ' if question.kept else 'NOT '} {question.asks}: {question.answer}")


def machine():
    model = "unknown processor"
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def python_that_draws():
    """Some python3 that has matplotlib, or None."""
    for python in dict.fromkeys([sys.executable, "/usr/bin/python3"]):
        if subprocess.run([python, "-c", "import matplotlib"], capture_output=True).returncode == 0:
            return python
    print("no python3 here has matplotlib: no pictures")
    return None


def print_conditions(rounds):
    """Where this ran, and what is wrong with that."""
    load = os.getloadavg()[0]
    print(f"{machine()}; load {load:.1f}; {rounds} rounds, interleaved")
    if load > 0.5:
        print("note: the machine is not idle; trust the cpu column more than the wall one")
    if isinstance(rounds, int) and rounds < judging.ROUNDS_MIN:
        print(f"note: less than {judging.ROUNDS_MIN} rounds make no interval of 95 %; verdicts are a guess")


# ---- files


def row_as_json(result):
    compared = {"time": result.time, "cpu": result.cpu, "rss": result.rss}
    return {
        "group": result.row.group,
        "real": result.group.real,
        "asks": result.row.asks,
        "command": list(result.row.command),
        "limits": {"time": result.group.time_limit, "rss": result.group.rss_limit},
        "output": result.output,
        "runs": {a: [asdict(run) for run in its] for a, its in result.runs.items()},
        "medians": {a: {c: median(its, c) for c in COLUMNS} for a, its in result.runs.items()},
        "limit": {"bump": [asdict(run) for run in result.bump], "live_kib": result.live_kib},
        "watched": {a: asdict(w) for a, w in result.watched.items()},
        "ours_over_best": {c: asdict(its) for c, its in compared.items() if its},
        "insensitive": result.insensitive,
        "failures": result.failures,
        "verdict": result.verdict(),
    }


def write_json(path, header, results, questions):
    document = {
        **header,
        "questions": [asdict(question) for question in questions],
        "plane": judging.plane(results),
        "workloads": {result.row.name: row_as_json(result) for result in results},
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_csv(path, results):
    """One line for each row and allocator: medians."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["row", "group", "allocator", "wall_s", "wall_spread", "cpu_s", "kernel_s", "peak_kib", "peak_spread",
                        "quiet_kib", "minor_faults", "mappings", "live_kib", "rounds"])
        for result in results:
            lines = {**result.runs, **({BUMP: result.bump} if result.bump else {})}
            for allocator, its in lines.items():
                watched = result.watched.get(allocator)
                table.writerow([
                    result.row.name, result.row.group, allocator, median(its, "wall"),
                    f"{spread(its, 'wall'):.4f}", f"{median(its, 'cpu'):.6f}", f"{median(its, 'system'):.6f}", median(its, "peak_kib"),
                    f"{spread(its, 'peak_kib'):.4f}", (watched.quiet_kib or "") if watched else "",
                    statistics.median(run.minor_faults for run in its), watched.mappings if watched else "",
                    result.live_kib or "", len(its),
                ])


def ours_failed(results):
    return any(OURS in result.failures for result in results)
