"""What came out: medians, ratios with their intervals, and the verdicts."""
import math
import random
import statistics
from dataclasses import dataclass, field

from .peers import OURS
from .rows import GROUPS

NOISY = 0.10  # an interval wider than this cannot tell what the limits ask for
INSENSITIVE = 0.02  # all peers this close together: the row says nothing about allocators
DRAWS = 2000  # of the bootstrap
ROUNDS_MIN = 6  # the median lies between the lowest and the highest of five with only 94 %


def median(runs, column):
    return statistics.median(getattr(run, column) for run in runs)


def spread(runs, column):
    values = [getattr(run, column) for run in runs]
    return (max(values) - min(values)) / (statistics.median(values) or 1)


def middle_95(values):
    values = sorted(values)
    return values[len(values) // 40], values[-1 - len(values) // 40]


def drawn_medians(values):
    """Where the median falls when values are drawn again (bootstrap)."""
    rng = random.Random(0)
    return [statistics.median(rng.choices(values, k=len(values))) for _ in range(DRAWS)]


def interval(values):
    """The 95 % interval of the median."""
    return middle_95(drawn_medians(values))


@dataclass
class Comparison:
    """Ours over the best peer, divided round by round: the median, and the interval around it."""

    ratio: float
    low: float
    high: float
    best: str
    ratios: list = field(repr=False)

    def __str__(self):
        return f"{self.ratio:.2f} [{self.low:.2f}-{self.high:.2f}] {self.best}"

    def answers(self, limit):
        words = ["noisy"] if self.high - self.low > NOISY else []
        if self.low > limit:
            words.append("BEHIND")
        elif self.high > limit:
            words.append("unclear")
        return words


def peers_of(runs, without=()):
    return [a for a in runs if a != OURS and a not in without]


def against_best(runs, column, without=()):
    """None without us or without a peer."""
    peers = peers_of(runs, without)
    if OURS not in runs or not peers:
        return None
    best = min(peers, key=lambda a: median(runs[a], column))
    pairs = zip(runs[OURS], runs[best])
    ratios = [getattr(ours, column) / (getattr(peer, column) or 1) for ours, peer in pairs]
    return Comparison(statistics.median(ratios), *interval(ratios), best, ratios)


@dataclass
class Result:
    """What came out of one row."""

    row: object
    runs: dict
    output: str = ""
    failures: dict = field(default_factory=dict)
    bump: list = field(default_factory=list)
    no_bump: str = ""
    watched: dict = field(default_factory=dict)  # allocator -> Watched
    live_kib: int = 0  # 0: not known

    def __post_init__(self):
        self.group = GROUPS[self.row.group]
        self.time = against_best(self.runs, "wall")
        self.cpu = against_best(self.runs, "cpu")
        self.rss = against_best(self.runs, "peak_kib", self.group.not_in_rss)

    @property
    def insensitive(self):
        """All peers take the same time, so no allocator can win or lose here."""
        times = [median(self.runs[a], "wall") for a in peers_of(self.runs)]
        return len(times) > 1 and max(times) <= min(times) * (1 + INSENSITIVE)

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

    def quiet_best(self):
        """(peer, KiB) of the peer that keeps least after the quiet; None without one."""
        kept = {a: w.quiet_kib for a, w in self.watched.items() if w.quiet_kib and a not in (OURS, "scudo")}
        return min(kept.items(), key=lambda item: item[1]) if kept else None


# ---- all rows together


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values))


def mean_ratio(comparisons):
    """The geometric mean of several rows' ratios and its 95 % interval; None without rows."""
    comparisons = [c for c in comparisons if c and c.ratio > 0]
    if not comparisons:
        return None
    draws = zip(*(drawn_medians(c.ratios) for c in comparisons))
    means = [geometric_mean(draw) for draw in draws if min(draw) > 0]
    return geometric_mean(c.ratio for c in comparisons), *middle_95(means or [0])


@dataclass
class Question:
    """One line of what we want, and the answer."""

    asks: str
    answer: str
    kept: bool


def shown(mean):
    return f"{mean[0]:.3f} [{mean[1]:.3f}-{mean[2]:.3f}]" if mean else "no row"


def names(rows):
    return ", ".join(rows) or "none"


def time_questions(results):
    sensitive = [r for r in results if r.time and not r.insensitive]
    micro = mean_ratio([r.time for r in sensitive if not r.group.real])
    real = mean_ratio([r.time for r in sensitive if r.group.real])
    behind = [r.row.name for r in sensitive if r.time.low > 1.05]
    yield Question("time, micro rows, mean of ours / best peer: at most 0.95", shown(micro),
                   bool(micro) and micro[0] <= 0.95)
    yield Question("time, real programs: at most 1.00, upper end at most 1.03", shown(real),
                   bool(real) and real[0] <= 1.00 and real[2] <= 1.03)
    yield Question("rows whose interval is entirely above 1.05", names(behind), not behind)


def smallest_peak(result):
    return against_best(result.runs, "peak_kib", ("scudo",))


def keeps_more(result):
    ours, best = result.watched.get(OURS), result.quiet_best()
    return bool(ours and ours.quiet_kib and best and ours.quiet_kib > best[1])


def memory_questions(results):
    peaks = [(r.row.name, smallest_peak(r)) for r in results if OURS in r.runs]
    mean = mean_ratio([peak for _, peak in peaks])
    above = [name for name, peak in peaks if peak and peak.ratio > 1.15]
    quiet = [r.row.name for r in results if keeps_more(r)]
    watched = any(r.quiet_best() for r in results)
    yield Question("peak RSS, mean of ours / smallest peer (without scudo): at most 1.00", shown(mean),
                   bool(mean) and mean[0] <= 1.00)
    yield Question("rows above 1.15", names(above), not above)
    yield Question("rows that free their memory, and a peer has less RSS after 2 s of quiet",
                   names(quiet) if watched else "not watched", watched and not quiet)


def plane(results):
    """Allocator -> (time, RSS): geometric means over the rows that all finished, by those of ours."""
    allocators = {a for r in results for a in r.runs}
    rows = [r for r in results if set(r.runs) == allocators and min(map(len, r.runs.values())) > 0]
    if OURS not in allocators or not rows:
        return {}

    def mean(allocator, column):
        ratios = [median(r.runs[allocator], column) / (median(r.runs[OURS], column) or 1) for r in rows]
        return geometric_mean(max(ratio, 1e-9) for ratio in ratios)

    return {a: (mean(a, "wall"), mean(a, "peak_kib")) for a in sorted(allocators)}


def plane_questions(results):
    points = plane(results)
    better = [f"{a} ({time:.2f}, {rss:.2f})" for a, (time, rss) in points.items()
              if a != OURS and (time < 1 or rss < 1)]
    yield Question("peers that are better on the whole in time or in peak RSS (ours is 1, 1)",
                   names(better) if points else "no row", bool(points) and not better)


def small_questions(results):
    small = [r for r in results if r.row.small and OURS in r.runs and "glibc" in r.runs]
    more = {r.row.name: median(r.runs[OURS], "peak_kib") - median(r.runs["glibc"], "peak_kib")
            for r in small}
    above = [f"{name} +{kib:.0f} KiB" for name, kib in more.items() if kib > 256]
    yield Question("small programs whose peak RSS is above glibc's + 256 KiB",
                   names(above) if more else "no row", bool(more) and not above)


def questions(results):
    """What issue 5 asks, line by line."""
    for part in (time_questions, memory_questions, plane_questions, small_questions):
        yield from part(results)
