#!/usr/bin/env python3
"""Make a table of what `relacy mutate` prints, and check it: every memory order of the protocol that is
stronger than relaxed was tried, and weakening it is noticed, or argued in a comment at its line ("Unnoticed: ...");
or a comment says why no scenario comes there ("Untried: ...").

usage: relacy mutate 20000 | tests/proof/orders.py
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = [ROOT / "src/base/handle_stack.h", *sorted((ROOT / "src/page").glob("page*.[ch]")),
         *(ROOT / f"src/heap/{name}" for name in ("heap.c", "outbox.c", "refill.c", "theap.c", "thread.c"))]
ORDER = re.compile(r"memory_order_(acquire|release|acq_rel|seq_cst)")


def argument(path: pathlib.Path, line: int, word: str) -> str:
    """The comment that begins with this word in the lines before this one."""
    near = " ".join(text.strip(" /") for text in path.read_text().splitlines()[max(0, line - 8):line])
    found = re.search(word + r": [^.]*\.", near)
    return found[0] if found else ""


def main() -> int:
    rows = [[cell.strip() for cell in line.split("|", 3)] for line in sys.stdin if line.startswith("src/")]
    rows.sort(key=lambda row: (row[0].split(":")[0], int(row[0].split(":")[1])))
    problems = []
    print("| place | order | weakened to | noticed in |\n|---|---|---|---|")
    for place, order, weaker, noticed in rows:
        path, line = place.split(":")
        if noticed == "-":
            noticed = argument(ROOT / path, int(line), "Unnoticed")
            if not noticed:
                problems.append(f"{place}: {order} -> {weaker}: not noticed, and not argued")
        scenario, _, how = noticed.partition(": ")
        how = re.sub(r"^(DATA RACE).*", r"\1", how)
        print(f"| {place} | {order} | {weaker} | {scenario}: {how.replace('|', chr(92) + '|')} |")
    tried = {row[0] for row in rows}
    for path in FILES:  # the compiler gives a call the number of its first line
        for number, text in enumerate(path.read_text().splitlines(), 1):
            name = path.relative_to(ROOT).as_posix()
            if (ORDER.search(text) and not {f"{name}:{n}" for n in range(number - 2, number + 1)} & tried
                    and not argument(path, number, "Untried")):
                problems.append(f"{name}:{number}: no scenario comes here")
    print(f"\n{len(rows)} orders weakened, {len(rows) - len(problems)} noticed or argued")
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
