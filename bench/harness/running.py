"""One program, run once, by one allocator; and all rounds of a row."""
import os
import pathlib
import random
import signal
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field

from . import BENCH, OUT, Failure
from .peers import BUMP, environment_of
from .rows import GROUPS


BUMP_ROUNDS = 3  # it is slow, and only a line to compare with


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


@dataclass
class Runs:
    """All rounds of one row."""

    of: dict  # allocator -> its runs, one for each round; who failed is out
    output: str  # what most of them printed
    failures: dict  # allocator -> reason
    bump: list = field(default_factory=list)  # runs of what never frees
    no_bump: str = ""  # why there are none


def is_real(row):
    return GROUPS[row.group].real


def command_of(row, library, report):
    """What runs a row by this library and leaves one line in the file `report`."""
    if is_real(row):
        return [BENCH / "program.sh", row.command[1], report, *([library] if library else [])]
    preload = ["-p", library] if library else []
    return [OUT / "measure", *preload, "-t", row.seconds, report, OUT / row.command[0], *row.command[1:]]


def stop(process):
    """It leads a process group of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def read_report(path):
    """(Run, exit status); the line `seconds N` replaces the time, for servers."""
    lines = path.read_text().splitlines() if path.exists() else []
    fields = next((line.split() for line in lines if not line.startswith("seconds ")), [])
    if len(fields) != 6:
        return None, None
    wall, user, system = map(float, fields[:3])
    for line in lines:
        if line.startswith("seconds "):
            wall = float(line.split()[1])
    return Run(wall, user, system, int(fields[3]), int(fields[4])), int(fields[5])


def run_once(library, row, environment, while_running=None):
    """Run one row once; returns its Run and what it printed. `while_running` is called with the process."""
    with tempfile.TemporaryDirectory(prefix="race.", ignore_cleanup_errors=True) as folder:
        pathlib.Path(folder).chmod(0o711)  # servers may run as another user
        environment = {**environment, "TMPDIR": folder}
        report = pathlib.Path(folder) / "report"
        with open(f"{folder}/stdout", "w+b") as out, open(f"{folder}/stderr", "w+b") as err:
            command = [str(word) for word in command_of(row, library, report)]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, start_new_session=True)
            try:
                if while_running:
                    while_running(process)
                status = process.wait(timeout=row.seconds + 60)
            except subprocess.TimeoutExpired:
                raise Failure(f"not finished after {row.seconds} s") from None
            finally:
                stop(process)
            out.seek(0)
            err.seek(0)
            output = out.read().decode(errors="replace")
            complaints = err.read().decode(errors="replace").strip()
        run, measured_status = read_report(report)
    if "cannot be preloaded" in complaints:  # ld.so goes on without it, and we would time glibc
        raise Failure(complaints.splitlines()[0])
    if measured_status == 128 + signal.SIGALRM:
        raise Failure(f"not finished after {row.seconds} s")
    if status != 0:
        raise Failure(f"exit status {status}: {complaints[-200:]}")
    if run is None:
        raise Failure(f"not measured: {complaints[-200:]}")
    return run, output


def run_bump(row, library, environment, runs):
    """One run of the allocator that never frees, as long as it can."""
    if runs.no_bump:
        return
    try:
        run, _ = run_once(library, row, environment)
        runs.bump.append(run)
    except Failure as failure:
        runs.no_bump = str(failure)


def race(row, allocators, environment, go_on, progress, bump=None):
    """Interleaved rounds of one row, each in another order, while go_on(rounds done)."""
    of = {allocator: [] for allocator in allocators}
    outputs = {}
    result = Runs(of, "", {})
    shuffler = random.Random(row.name)  # otherwise the same one begins every row, on cold memory
    done = 0
    while go_on(done):
        for allocator in shuffler.sample(list(allocators), len(allocators)):
            progress(f"{row.name}, round {done + 1}: {allocator}")
            if allocator in result.failures:
                continue
            try:
                run, output = run_once(allocators[allocator], row, environment_of(allocator, environment))
                if outputs.setdefault(allocator, output) != output:
                    raise Failure("printed something else than in its first round")
                of[allocator].append(run)
            except Failure as failure:
                result.failures[allocator] = str(failure)
        if bump and done < BUMP_ROUNDS:
            progress(f"{row.name}, round {done + 1}: {BUMP}")
            run_bump(row, bump, environment, result)
        done += 1

    # What most of them print is taken for right.
    result.output = statistics.mode(outputs.values()) if outputs else ""
    for allocator, output in outputs.items():
        if output != result.output:
            reason = f"printed {output.strip()!r}, most print {result.output.strip()!r}"
            result.failures.setdefault(allocator, reason)
    result.of = {a: its for a, its in of.items() if a not in result.failures}
    return result
