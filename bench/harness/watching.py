"""What a clock cannot see, from runs of their own that are not timed: RSS over time and after two seconds of quiet, the number
of mappings, and the bytes that are live at the peak."""
import pathlib
import tempfile
import time
from dataclasses import dataclass, field

from . import Failure
from .running import run_once

QUIET_SECONDS = 2
SAMPLE_SECONDS = 0.02
EXACT_EVERY = 5  # samples
SLACK_SECONDS = 0.5  # from the end of the quiet to that of the program


@dataclass
class Watched:
    """One watched run of one allocator; all of the largest process at that moment."""

    curve: list = field(default_factory=list)  # [seconds, KiB]
    exact: list = field(default_factory=list)  # [seconds, KiB]: of all processes, what they share counted once
    mappings: int = 0  # at the most
    quiet_kib: int = 0  # RSS at the end of the quiet; 0: the row has none
    output: str = ""  # what it printed


def read(path):
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


def children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    try:
        return [int(child) for task in tasks.iterdir() for child in read(task / "children").split()]
    except OSError:
        return []


def descendants(pid):
    found = children(pid)
    for child in found:
        found.extend(children(child))
    return found


def measured(pid):
    """The processes below `measure`: not the shells and clients of a real program."""
    all_of_them = [pid, *descendants(pid)]
    stems = [p for p in all_of_them if read(pathlib.Path(f"/proc/{p}/comm")).strip() == "measure"]
    return [p for stem in stems for p in descendants(stem)]


def rss_kib(pid):
    fields = read(pathlib.Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * 4 if fields else 0


def exact_kib(pid, what="Rss:"):
    """statm may be off by some 100 KiB per thread; this adds up the page tables."""
    for line in read(pathlib.Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    return 0


def exact_of_all(pids):
    """RSS of one process; of several the sum of their shares (PSS)."""
    return exact_kib(pids[0]) if len(pids) == 1 else sum(exact_kib(pid, "Pss:") for pid in pids)


def around_quiet(seen, seconds):
    """(KiB at the end of the load, KiB after so many seconds of quiet): the program ends SLACK_SECONDS later at the most."""
    end = seen.exact[-1][0] - SLACK_SECONDS

    def at(moment):
        return min(seen.exact, key=lambda sample: abs(sample[0] - moment))[1]

    return at(end - seconds), at(end)


def watch(library, row, environment, quiet=0):
    """One run, with samples. `quiet`: so many seconds of it, also in rows that do not free what they have."""
    seen = Watched()
    if row.frees:
        quiet = quiet or QUIET_SECONDS
    start = time.monotonic()

    def sample(process):
        samples = 0
        while process.poll() is None:
            pids = measured(process.pid)
            sizes = {pid: rss_kib(pid) for pid in pids}
            if sizes and max(sizes.values()) > 0:
                largest = max(sizes, key=sizes.get)
                seen.curve.append([round(time.monotonic() - start, 3), sizes[largest]])
                if samples % EXACT_EVERY == 0:
                    maps = read(pathlib.Path(f"/proc/{largest}/maps"))
                    seen.mappings = max(seen.mappings, maps.count("\n"))
                    seen.quiet_kib = exact_kib(largest) or seen.quiet_kib
                    seen.exact.append([seen.curve[-1][0], exact_of_all(pids)])
                samples += 1
            if time.monotonic() - start > row.seconds + 30:
                raise Failure(f"not finished after {row.seconds} s")
            time.sleep(SAMPLE_SECONDS)

    if quiet:
        environment = {**environment, "BENCH_QUIET": str(quiet)}
    _, seen.output = run_once(library, row, environment, sample)
    if not row.frees:
        seen.quiet_kib = 0
    return seen


def live_kib(library, row, environment):
    """Bytes asked for and not freed, at the most, of the process with the most."""
    with tempfile.TemporaryDirectory(prefix="live.") as folder:
        pathlib.Path(folder).chmod(0o777)
        try:
            run_once(library, row, {**environment, "LIVE_DIRECTORY": folder})
        except Failure:
            return 0
        peaks = [int.from_bytes(file.read_bytes()[:8], "little") for file in pathlib.Path(folder).iterdir()]
    return max(peaks, default=0) // 1024
