#!/usr/bin/env python3
"""Race allocators over the workloads, preloaded into the same binaries, interleaved in one run.

usage: bench/race.py [--group core|threads|all] [--quick] [--rounds N] [--only WORD]
                     [--peers NAME,...] [--ours PATH] [--json FILE]

Every round runs each allocator once, in another order each time, so that a slow minute of the
machine hits all of them. The tables show medians; `spread` is (max - min) / median. The best peer
of a column is the one with the lowest median. Ours is divided by it round by round; beside the
median of these ratios stands its 95 % interval (bootstrap). Where the limit lies inside of it, the
verdict is `unclear`; where it is wide, the row is `noisy`. All allocators must print the same.

More peers:  PEERS="name=/path/to/lib.so ..." bench/race.py        Compiler:  CC=clang bench/race.py
"""
import argparse
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
OUT = ROOT / "out" / "bench"
CFLAGS = "-std=c11 -O2 -fno-builtin -Wall -Wextra -Wpedantic -Wshadow -Wconversion -pthread".split()

SOURCES = [BENCH / "pairs.c", *sorted((BENCH / "workloads").glob("*.c"))]
MEASURE = ROOT / "tools" / "measure.c"



@dataclass(frozen=True)
class Group:
    """Rows with the same limits: how far behind the best peer ours may be."""

    time_limit: float
    rss_limit: float
    not_in_rss: tuple  # peers whose peak RSS does not count
    rows: dict  # row of the tables -> program and arguments; the rest are the programs' defaults


GROUPS = {
    "core": Group(1.10, 1.20, (), {
        "cfrac": ["cfrac"],
        "tree": ["tree"],
        "replace-small": ["replace", "small"],
        "replace-middle": ["replace", "middle"],
        "replace-skewed": ["replace", "skewed"],
        "threads": ["threads"],
    }),
    "threads": Group(1.05, 1.10, ("glibc",), {
        "larson": ["larson"],
        "xmalloc-pair": ["xmalloc", "2"],
        "xmalloc-many": ["xmalloc"],
        "mstress": ["mstress"],
        "rptest": ["rptest"],
        "sh8": ["sh8"],
        "cache-scratch-1": ["cache", "scratch", "1"],
        "cache-scratch-n": ["cache", "scratch"],
        "cache-thrash-1": ["cache", "thrash", "1"],
        "cache-thrash-n": ["cache", "thrash"],
    }),
}
ROUNDS_MIN = 6  # the median lies between the lowest and the highest of five with only 94 %
NOISY = 0.10  # an interval wider than this cannot tell what the limits ask for

# Name -> library, None for no preload. The libraries are those of Debian's packages.
OURS = "ours"
DEBIAN = pathlib.Path("/usr/lib/x86_64-linux-gnu")
PEERS = {
    "glibc": None,
    "jemalloc": DEBIAN / "libjemalloc.so.2",
    "tcmalloc": DEBIAN / "libtcmalloc_minimal.so.4",
    "mimalloc2": DEBIAN / "libmimalloc.so.2",
    "tbbmalloc": DEBIAN / "libtbbmalloc_proxy.so.2",
}

TIMEOUT_SECONDS = 120
MIB = 1024.0  # in KiB, the unit of rusage


@dataclass
class Run:
    """One run of one program, as `measure` reports it."""

    wall: float
    user: float
    system: float
    peak_kib: int
    minor_faults: int

    @property
    def cpu(self):
        return self.user + self.system


class Failure(Exception):
    """A program that could not be run to its end."""


def fail(message):
    sys.exit(f"race: {message}")


# ---- what to run


def build():
    """Compile everything, so that no run is of an old binary. Returns the compiler."""
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        fail(f"no C compiler `{compiler}`; install one or set CC")
    OUT.mkdir(parents=True, exist_ok=True)
    for source in [MEASURE, *SOURCES]:
        target = OUT / source.stem
        command = [compiler, *CFLAGS, str(source), "-o", str(target)]
        if source == MEASURE:
            command.append("-static")  # it must be smaller than what it measures
        if subprocess.run(command).returncode != 0:
            fail(f"cannot build {source.relative_to(ROOT)}")
    return compiler


def find_allocators(ours, wanted):
    """Name -> library of all that are here; a line for each that is not."""
    peers = {OURS: ours, **PEERS}
    for entry in os.environ.get("PEERS", "").split():
        name, _, path = entry.partition("=")
        if not name or not path:
            fail(f"PEERS: `{entry}` is not name=path")
        peers[name] = pathlib.Path(path)
    if unknown := wanted - set(peers):
        fail(f"--peers: unknown {', '.join(sorted(unknown))}; there are {', '.join(peers)}")

    found = {}
    for name, path in peers.items():
        if wanted and name != OURS and name not in wanted:
            continue
        if path is not None and not path.exists():
            hint = "`make` builds it" if name == OURS else "see `tools/setup.sh bench`"
            print(f"skipped: {name}, no {path} ({hint})")
            continue
        found[name] = None if path is None else path.resolve()
    if not found:
        fail("no allocator to race")
    return found


def clean_environment():
    """Ours without a preload; settings of allocators stay, but we say so: they change the race."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    prefixes = ("MIMALLOC_", "MALLOC_", "_RJEM_", "TCMALLOC_", "GLIBC_TUNABLES", "TBB_MALLOC_")
    if settings := [k for k in environment if k.startswith(prefixes)]:
        print(f"note: the allocators see, from the environment: {', '.join(sorted(settings))}")
    return environment


# ---- running


def run_once(library, arguments, environment):
    """Run one workload once; returns its Run and what it printed."""
    read_end, write_end = os.pipe()
    preload = ["-p", library] if library else []
    command = [OUT / "measure", *preload, "-t", TIMEOUT_SECONDS, f"/dev/fd/{write_end}", OUT / arguments[0]]
    done = subprocess.run(
        [*map(str, command), *arguments[1:]],
        env=environment,
        pass_fds=[write_end],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    os.close(write_end)
    with os.fdopen(read_end) as report:
        fields = report.read().split()
    if len(fields) != 6:
        raise Failure(f"not measured: {done.stderr.strip()}")
    if "cannot be preloaded" in done.stderr:  # ld.so goes on without it, and we would time glibc
        raise Failure(done.stderr.strip().splitlines()[0])
    if (status := int(fields[5])) == 128 + signal.SIGALRM:
        raise Failure(f"not finished after {TIMEOUT_SECONDS} s")
    if status != 0:
        raise Failure(f"exit status {status}: {done.stderr.strip()[-200:]}")
    wall, user, system = map(float, fields[:3])
    return Run(wall, user, system, int(fields[3]), int(fields[4])), done.stdout


def race(name, group, allocators, rounds, environment):
    """All rounds of one workload, as a Result. Who failed is out."""
    runs = {allocator: [] for allocator in allocators}
    outputs, failures = {}, {}
    shuffler = random.Random(0)
    for _ in range(rounds):
        for allocator in shuffler.sample(list(allocators), len(allocators)):
            if allocator in failures:
                continue
            if sys.stderr.isatty():
                print(f"\r\033[K{name}: {allocator} ", end="", file=sys.stderr, flush=True)
            try:
                run, output = run_once(allocators[allocator], group.rows[name], environment)
                if outputs.setdefault(allocator, output) != output:
                    raise Failure("printed something else than in its first round")
                runs[allocator].append(run)
            except Failure as failure:
                failures[allocator] = str(failure)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)

    # What most of them print is taken for right.
    right = statistics.mode(outputs.values()) if outputs else ""
    for allocator, output in outputs.items():
        if output != right:
            reason = f"printed {output.strip()!r}, most print {right.strip()!r}"
            failures.setdefault(allocator, reason)
    runs = {a: r for a, r in runs.items() if a not in failures}
    return Result(group, runs, right, failures)


# ---- what came out


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


def spread(runs, field):
    values = [getattr(run, field) for run in runs]
    return (max(values) - min(values)) / (statistics.median(values) or 1)


@dataclass
class Comparison:
    """Ours over the best peer, divided round by round: the median, and the interval around it."""

    ratio: float
    low: float
    high: float
    best: str

    def __str__(self):
        return f"{self.ratio:.2f} [{self.low:.2f}-{self.high:.2f}] {self.best}"

    def answers(self, limit):
        words = ["noisy"] if self.high - self.low > NOISY else []
        if self.low > limit:
            words.append("BEHIND")
        elif self.high > limit:
            words.append("unclear")
        return words


def interval(values):
    """The 95 % interval of the median: where it falls when values are drawn again (bootstrap)."""
    draws, rng = 2000, random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[draws // 40], medians[-1 - draws // 40]


def against_best(runs, field, without=()):
    """None without us or without a peer."""
    peers = [a for a in runs if a != OURS and a not in without]
    if OURS not in runs or not peers:
        return None
    best = min(peers, key=lambda a: median(runs[a], field))
    pairs = zip(runs[OURS], runs[best])
    ratios = [getattr(ours, field) / (getattr(peer, field) or 1) for ours, peer in pairs]
    return Comparison(statistics.median(ratios), *interval(ratios), best)


@dataclass
class Result:
    """What came out of one row."""

    group: Group
    runs: dict
    output: str
    failures: dict

    def __post_init__(self):
        self.time = against_best(self.runs, "wall")
        self.cpu = against_best(self.runs, "cpu")
        self.rss = against_best(self.runs, "peak_kib", self.group.not_in_rss)

    def verdict(self):
        if OURS in self.failures:
            return "FAILED"
        if self.time is None or self.rss is None:
            return "-"
        answers = {
            "time": self.time.answers(self.group.time_limit),
            "rss": self.rss.answers(self.group.rss_limit),
        }
        words = []
        for word in ("BEHIND", "unclear", "noisy"):
            if columns := [column for column in answers if word in answers[column]]:
                words.append(f"{word} in {' and '.join(columns)}")
        held = all(set(its) <= {"noisy"} for its in answers.values())
        return ", ".join(["ok"] * held + words)


def print_table(name, result):
    print(f"\n{name}: {'; '.join(result.output.strip().splitlines())}")
    print(f"  {'allocator':<12}{'wall s':>9}{'spread':>8}{'cpu s':>9}{'spread':>8}"
          f"{'peak MiB':>10}{'spread':>8}{'minor faults':>14}")
    for allocator, its in result.runs.items():
        print(f"  {allocator:<12}{median(its, 'wall'):9.3f}{spread(its, 'wall'):8.1%}"
              f"{median(its, 'cpu'):9.3f}{spread(its, 'cpu'):8.1%}"
              f"{median(its, 'peak_kib') / MIB:10.1f}{spread(its, 'peak_kib'):8.1%}"
              f"{median(its, 'minor_faults'):14.0f}")
    for allocator, reason in result.failures.items():
        print(f"  {allocator:<12}FAILED: {reason}")
    sys.stdout.flush()


def print_verdicts(group, results):
    """One line for each row of a group, if any ran."""
    if not results:
        return
    without = f", without {', '.join(group.not_in_rss)}" if group.not_in_rss else ""
    print(f"\nours / best peer [95 % interval]; ok: at most {group.time_limit:.2f} in time and "
          f"{group.rss_limit:.2f} in peak RSS (of the best there{without})")
    print(f"  {'workload':<16}{'time':<28}{'cpu':<28}{'rss':<28}verdict")
    for name, result in results.items():
        cells = (f"{str(c or '-'):<28}" for c in (result.time, result.cpu, result.rss))
        print(f"  {name:<16}{''.join(cells)}{result.verdict()}")


def print_conditions(rounds):
    """Where this ran, and what is wrong with that."""
    load = os.getloadavg()[0]
    print(f"{machine()}; load {load:.1f}; {rounds} rounds, interleaved")
    if load > 0.5:
        print("note: the machine is not idle; trust the cpu column more than the wall one")
    if rounds < ROUNDS_MIN:
        print(f"note: less than {ROUNDS_MIN} rounds make no interval of 95 %; verdicts are a guess")


def write_json(path, header, results):
    rows = {}
    for name, result in results.items():
        compared = {"time": result.time, "cpu": result.cpu, "rss": result.rss}
        rows[name] = {
            "command": result.group.rows[name],
            "limits": {"time": result.group.time_limit, "rss": result.group.rss_limit},
            "output": result.output,
            "runs": {a: [asdict(run) for run in its] for a, its in result.runs.items()},
            "ours_over_best": {c: asdict(its) for c, its in compared.items() if its},
            "failures": result.failures,
            "verdict": result.verdict(),
        }
    path.write_text(json.dumps({**header, "workloads": rows}, indent=1) + "\n")


def machine():
    model = "unknown processor"
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", choices=[*GROUPS, "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 7")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--only", default="", metavar="WORD",
                        help="workloads whose names contain WORD")
    parser.add_argument("--peers", default="", metavar="NAME,...", help="these peers only")
    parser.add_argument("--ours", type=pathlib.Path, metavar="PATH",
                        default=ROOT / "out" / "release" / "libmimalloc.so")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all runs to FILE")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    groups = GROUPS.values() if options.group == "all" else [GROUPS[options.group]]
    options.rows = {name: group for group in groups for name in group.rows if options.only in name}
    if not options.rows:
        names = [name for group in groups for name in group.rows]
        parser.error(f"--only: no such workload; there are {', '.join(names)}")
    options.wanted = set(filter(None, options.peers.split(",")))
    return options


def main():
    options = parse_arguments()
    compiler = build()
    allocators = find_allocators(options.ours, options.wanted)
    environment = clean_environment()
    header = {
        "machine": machine(),
        "compiler": compiler,
        "load_at_start": os.getloadavg()[0],
        "rounds": options.rounds,
        "allocators": {name: str(path or "") for name, path in allocators.items()},
    }
    print_conditions(options.rounds)

    results = {}
    for name, group in options.rows.items():
        results[name] = race(name, group, allocators, options.rounds, environment)
        print_table(name, results[name])
    for group in GROUPS.values():
        print_verdicts(group, {n: r for n, r in results.items() if r.group is group})
    if options.json:
        write_json(options.json, header, results)
    return 1 if any(result.failures for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
