#!/usr/bin/env python3
"""Check that a library exports exactly what include/ declares, plus the names it overrides.

usage: check_exports.py [--no-override] FILE...       (libmimalloc.so, libmimalloc.a, mimalloc.o)

In a .so the dynamic symbols count. In a .a or .o, hidden symbols named mii_* may exist too (they
connect our files); the overriding names must not be hidden there: a program that links us
statically must offer its malloc to the shared libraries it uses.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MALLOC_H = {"malloc_trim", "mallinfo", "mallinfo2", "malloc_info", "malloc_stats", "mallopt"}


def declared() -> set:
    names = set()
    for header in (ROOT / "include").glob("mimalloc*.h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#(?:[^\n]*\\\n)*[^\n]*", " ", header.read_text(), flags=re.S | re.M)
        names |= set(re.findall(r"\bmi_decl_export\b[^;{(]*?(\w+)\s*\(", text))
    return names


def defined(path: str) -> dict:
    """The global symbols that a file defines, and whether each is hidden."""
    is_so = ".so" in pathlib.Path(path).name
    out = subprocess.run(["readelf", "-W", "--dyn-syms" if is_so else "--syms", path],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    row = re.compile(r"^\s*\d+:\s+\S+\s+\S+\s+\w+\s+(?:GLOBAL|WEAK|UNIQUE)\s+(\w+)\s+(?!UND)\S+\s+([^\s@]+)", re.M)
    return {name: visibility in ("HIDDEN", "INTERNAL") for visibility, name in row.findall(out)}


def main(args: list) -> int:
    api = declared()
    override = set()
    if "--no-override" not in args:
        lines = (ROOT / "tools/override-symbols.txt").read_text().splitlines()
        override = {line.split()[0] for line in lines if line.strip()} | MALLOC_H
    wrong = 0
    for path in (arg for arg in args if not arg.startswith("--")):
        if not pathlib.Path(path).exists():
            sys.exit(f"{path}: not built")
        symbols = defined(path)
        ours = {name for name, hidden in symbols.items() if hidden and name.startswith("mii_")}
        problems = [f"missing: {name}" for name in sorted((api | override) - symbols.keys())]
        problems += [f"not declared: {name}" for name in sorted(symbols.keys() - api - override - ours)]
        problems += [f"hidden: {name}" for name in sorted(override) if symbols.get(name)]
        for problem in problems:
            print(f"{path}: {problem}")
        print(f"{path}: {len(symbols.keys() - ours)} exports, {len(problems)} wrong")
        wrong += len(problems)
    return 1 if wrong or not api else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
