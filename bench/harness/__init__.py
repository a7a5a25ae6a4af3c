"""The race, in modules of one thought each: what is raced (rows, peers), how (building, running, watching),
what came out (judging) and how it is told (report). `bench/race.py` puts them together."""
import pathlib
import sys

BENCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
OUT = ROOT / "out" / "bench"


class Failure(Exception):
    """A program that could not be run to its end."""


def fail(message):
    sys.exit(f"race: {message}")
