#!/usr/bin/env python3
"""Check that every `name` that a comment quotes exists: identifiers and .c/.h files.

Looked at: the comments of src/ and include/, and the text of ARCHITECTURE.md. A quoted span is
checked if it is one identifier with an underscore in it (`try_disown`), and wherever it holds a
name of ours (`mi_x`, `mii_x`, `MI_X`) or a file name. `mii_page_*` means: some name starts so; so does `mi_option_x`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
OURS = re.compile(r"(?<![\w-])(?:mii?_\w+\*?|MI_\w+\*?|[\w./-]+\.[ch]\b)")
PLAIN = re.compile(r"[A-Za-z]\w*_\w+(?=(?:\(\))?$)")

# Names of the world outside that our comments may quote without using them.
ALLOWED = {"overcommit_memory", "max_map_count", "pthread_create", "bad_alloc", "operator_new"}
ALLOWED_FILES = {"malloc.h", "stdlib.h", "string.h", "pthread.h", "stdatomic.h", "cmocka.h"}


def main() -> int:
    sources = {p: p.read_text(errors="replace") for top in ("src", "include", "tests", "bench")
               for p in sorted((ROOT / top).rglob("*.[ch]"))}
    code = "\n".join(COMMENT.sub(" ", text) for text in sources.values())
    known = set(re.findall(r"[A-Za-z_]\w+", code)) | ALLOWED
    files = {path.name for path in sources} | ALLOWED_FILES

    def exists(name: str) -> bool:
        if re.search(r"\.[ch]$", name):
            return "*" in name or name.split("/")[-1] in files
        if name.endswith(("*", "_", "_x")):
            return any(other.startswith(name.rstrip("*x")) for other in known)
        return name in known

    texts = [(p, m[0], text.count("\n", 0, m.start()) + 1) for p, text in sources.items()
             if p.relative_to(ROOT).parts[0] in ("src", "include") for m in COMMENT.finditer(text)]
    texts += [(p, p.read_text(), 1) for p in [ROOT / "ARCHITECTURE.md"] if p.exists()]
    stale = checked = 0
    for path, text, line in texts:
        for span in re.finditer(r"`([^`\n]+)`", text):
            for name in dict.fromkeys(OURS.findall(span[1]) + PLAIN.findall(span[1])):
                checked += 1
                if not exists(name):
                    at = line + text.count("\n", 0, span.start())
                    print(f"{path.relative_to(ROOT)}:{at}: `{name}` does not exist")
                    stale += 1
    print(f"names: {checked} quoted, {stale} stale")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
