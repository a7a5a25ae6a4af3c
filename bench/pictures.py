#!/usr/bin/env python3
"""The pictures of docs/benchmarks.md, by matplotlib, from results.json and tail.json.

usage: bench/pictures.py RESULTS_FOLDER PICTURE_FOLDER
       bench/pictures.py --giveback GIVEBACK_JSON PICTURE_FOLDER      giveback.png, for giveback.py

  time.png, rss.png    each row and peer, as a multiple of ours: left of the line is better than ours
  plane.png            both at once: one point for each allocator, the geometric means over all rows
  rss_over_time.png    the largest process of some rows, from start to end, quiet included
  tail.png             which share of the calls takes longer than so many ns
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  after the choice of the backend

OURS = "ours"
COLOURS = {"ours": "black", "glibc": "tab:blue", "jemalloc": "tab:red", "tcmalloc": "tab:green",
           "mimalloc2": "tab:purple", "tbbmalloc": "tab:orange", "scudo": "tab:brown", "bump": "0.6"}
MARKS = {"ours": "D", "glibc": "o", "jemalloc": "s", "tcmalloc": "^", "mimalloc2": "v", "tbbmalloc": "P", "scudo": "X"}
OVER_TIME = ["mstress", "larson", "large", "compiler", "redis", "sqlite", "gcc", "nginx", "postgres"]
DPI = 90


def style_of(name):
    return {"color": COLOURS.get(name, "tab:cyan"), "marker": MARKS.get(name, "*")}


def save(figure, folder, name):
    figure.savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def multiples(row, column, name):
    ours = row["medians"][OURS][column]
    return row["medians"][name][column] / ours if ours else None


def draw_rows(document, column, title, folder, name):
    rows = {n: row for n, row in reversed(document["workloads"].items()) if OURS in row["medians"]}
    figure, axes = plt.subplots(figsize=(9, 0.24 * len(rows) + 1.2))
    for allocator in document["allocators"]:
        there = [(i, multiples(row, column, allocator)) for i, row in enumerate(rows.values())
                 if allocator in row["medians"] and allocator != OURS]
        if there:
            axes.scatter([x for _, x in there], [i for i, _ in there], s=26, label=allocator, alpha=0.8,
                         **style_of(allocator))
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    for formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        formatter(lambda value, _: f"{value:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.grid(alpha=0.3)
    axes.set_xlabel(f"{title}, as a multiple of ours (left of 1: better than ours)")
    axes.legend(fontsize=8, ncol=6, loc="lower center", bbox_to_anchor=(0.5, 1))
    save(figure, folder, name)


def draw_plane(document, folder):
    figure, axes = plt.subplots(figsize=(6, 4.5))
    for allocator, (time, rss) in document["plane"].items():
        axes.scatter([time], [rss], s=60, **style_of(allocator))
        axes.annotate(allocator, (time, rss), textcoords="offset points", xytext=(6, 5), fontsize=9)
    axes.axvline(1, color="black", linewidth=0.5)
    axes.axhline(1, color="black", linewidth=0.5)
    axes.grid(alpha=0.3)
    axes.set_xlabel("time, geometric mean over all rows, ours = 1")
    axes.set_ylabel("peak RSS, the same")
    save(figure, folder, "plane")


def draw_over_time(document, folder):
    rows = {n: document["workloads"][n] for n in OVER_TIME if document["workloads"].get(n, {}).get("watched")}
    rows = rows or {n: row for n, row in list(document["workloads"].items())[:9] if row["watched"]}
    curves = {n: {a: watched["curve"] for a, watched in row["watched"].items()} for n, row in rows.items()}
    draw_curves(curves, {n: row["limit"]["live_kib"] for n, row in rows.items()}, folder, "rss_over_time")


def draw_curves(rows, limits, folder, name):
    """RSS over time: row -> allocator -> [[seconds, KiB], ...], with a dotted line at the row's limit."""
    if not rows:
        return
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(4 * columns, 2.6 * lines), squeeze=False)
    for axes in grid.flat[len(rows):]:
        axes.axis("off")
    for axes, (row, curves) in zip(grid.flat, rows.items()):
        for allocator, curve in curves.items():
            seconds, kib = zip(*curve) if curve else ((), ())
            axes.plot(seconds, [k / 1024 for k in kib], label=allocator, color=COLOURS.get(allocator),
                      linewidth=1.8 if allocator == OURS else 0.9)
        if limits.get(row):
            axes.axhline(limits[row] / 1024, color="0.5", linestyle=":", linewidth=1)
        axes.set_title(f"{row}, MiB over seconds", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    grid.flat[0].legend(fontsize=7)
    figure.tight_layout()
    save(figure, folder, name)


def longer_than(curve):
    """(ns, share of the calls that take longer), for a curve of [ns, calls]."""
    total = sum(calls for _, calls in curve)
    left, shares = total, []
    for _, calls in curve:
        left -= calls
        shares.append(max(left, 0.5) / total)
    return [ns for ns, _ in curve], shares


def draw_tail(tail, folder):
    kinds = list(dict.fromkeys(key.split()[0] for its in tail["allocators"].values() for key in its))
    figure, grid = plt.subplots(1, len(kinds), figsize=(4.6 * len(kinds), 3.6), sharey=True, squeeze=False)
    for axes, kind in zip(grid.flat, kinds):
        for allocator, its in tail["allocators"].items():
            axes.step(*longer_than(its[f"{kind} all"]["curve"]), where="post", label=allocator,
                      color=COLOURS.get(allocator), linewidth=1.8 if allocator == OURS else 0.9)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel("ns")
        axes.grid(alpha=0.3)
    grid.flat[0].set_ylabel("share of calls that take longer")
    grid.flat[0].legend(fontsize=8)
    save(figure, folder, "tail")


def draw_giveback(path, folder):
    answers = {name: answer for name, answer in json.loads(path.read_text()).items() if answer["drawn"]}
    folder.mkdir(parents=True, exist_ok=True)
    draw_curves({name: answer["curves"] for name, answer in answers.items()}, {}, folder, "giveback")


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--giveback":
        draw_giveback(*map(pathlib.Path, sys.argv[2:]))
        return
    if len(sys.argv) != 3:
        sys.exit("\n".join(__doc__.splitlines()[2:4]))
    results, folder = map(pathlib.Path, sys.argv[1:])
    document = json.loads((results / "results.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    draw_rows(document, "wall", "time", folder, "time")
    draw_rows(document, "peak_kib", "peak RSS", folder, "rss")
    draw_plane(document, folder)
    draw_over_time(document, folder)
    if (results / "tail.json").exists():
        draw_tail(json.loads((results / "tail.json").read_text()), folder)


if __name__ == "__main__":
    main()
