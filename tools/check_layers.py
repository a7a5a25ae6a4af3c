#!/usr/bin/env python3
"""Check that src/ includes only point down, and that only a few files ask which system this is.

A file may include its own layer or a lower one. The order is the "map" table in ARCHITECTURE.md,
so the picture that people read is the rule that is checked.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYSTEM = re.compile(r"\b(_WIN32|_WIN64|__linux__|__APPLE__|__MACH__|__ANDROID__|__EMSCRIPTEN__"
                    r"|__(?:Free|Net|Open)BSD__|__DragonFly__|__sun|__wasi__|__unix__)\b")
MAY_ASK = ("platform/", "api/override/", "base/compiler.h")


def main() -> int:
    rows = re.findall(r"^\|\s*`src/(\w+)/`", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    layers = list(dict.fromkeys(rows))  # bottom first
    level = {name: number for number, name in enumerate(layers)}
    problems = []
    for folder in sorted((ROOT / "src").iterdir()):
        if folder.is_dir() and any(folder.rglob("*.[ch]")) and folder.name not in level:
            problems.append(f"src/{folder.name}/ is missing in the table of ARCHITECTURE.md")

    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        name = path.relative_to(ROOT / "src").as_posix()
        own = level.get(name.split("/")[0])  # None: src/mi.c, the one-file build, sees everything
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"src/{name}:{number}"
            include = re.match(r'\s*#\s*include\s+"(?:\.\./)*(\w+)/', line)
            if include and own is not None and level.get(include[1], own) > own:
                problems.append(f"{where}: {layers[own]} must not include {include[1]}")
            if re.match(r'\s*#\s*include\s+"\.\./', line):
                problems.append(f"{where}: include from src/, not by ../")
            if re.match(r"\s*#\s*(el)?if", line) and SYSTEM.search(line) and not name.startswith(MAY_ASK):
                problems.append(f"{where}: only {', '.join(MAY_ASK)} may ask for the system")

    print("\n".join(problems) or f"layers ok: {' < '.join(layers)}")
    return 1 if problems or not layers else 0


if __name__ == "__main__":
    sys.exit(main())
