"""Compile everything that is raced, so that no run is of an old binary."""
import os
import shutil
import subprocess

from . import BENCH, OUT, ROOT, fail

CFLAGS = "-std=c11 -O2 -fno-builtin -Wall -Wextra -Wpedantic -Wshadow -Wconversion -pthread".split()
LIBRARIES = {"larson_sized": ["-lstdc++"]}
PRELOADS = ["bump", "live"]


def targets():
    """(source, target, options) of each file."""
    # It must be smaller than what it measures.
    yield ROOT / "tools" / "measure.c", OUT / "measure", ["-static"]
    for source in [*BENCH.glob("pairs.c"), *sorted((BENCH / "workloads").glob("*.c"))]:
        yield source, OUT / source.stem, LIBRARIES.get(source.stem, [])
    for name in PRELOADS:
        yield BENCH / f"{name}.c", OUT / f"lib{name}.so", ["-shared", "-fPIC"]


def build():
    """Returns the compiler."""
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        fail(f"no C compiler `{compiler}`; install one or set CC")
    OUT.mkdir(parents=True, exist_ok=True)
    for source, target, options in targets():
        command = [compiler, *CFLAGS, source, "-o", target, *options]
        if subprocess.run([*map(str, command)]).returncode != 0:
            fail(f"cannot build {source.relative_to(ROOT)}")
    return compiler
