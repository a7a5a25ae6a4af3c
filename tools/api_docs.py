#!/usr/bin/env python3
"""Turn a header of include/ into one that doxygen understands, on standard output: its filter.

usage: api_docs.py HEADER

Our headers are written for readers of headers: comments begin with //, several declarations may share one,
and what a parameter is called says what it is (docs/api/parameters.txt has the list). From that come
comments with @param and @return for every declaration, and a group for each section between two bars.
A declaration without a comment, or a parameter without a line in the list, is left undocumented: then
doxygen complains.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BAR = re.compile(r"// -{60,}$")
HIDDEN = ("What compilers call their attributes",)  # sections that are for the compiler
NOISE = re.compile(r"\bmi_decl_\w+(\(\w+\))?|\bmi_attr_(alloc_size2?|alloc_align)\([^)]*\)|\bmi_attr_\w+|\bmi_cdecl\b")


def parameters() -> dict:
    lines = (ROOT / "docs/api/parameters.txt").read_text().splitlines()
    return dict(re.split(r":\s+", line, maxsplit=1) for line in lines if line and not line.startswith("#"))


def prose(lines: list) -> str:
    """The text of // comments as Markdown: indented definitions become lists, our names become links."""
    text = []
    for line in (re.sub(r"^// ?", "", line.strip()) for line in lines):
        item = re.match(r"^( {2,})(\S+(?: \d)?) {2,}(\S.*)", line)
        code = re.match(r"^ {4,5}\S", line) and (not text or text[-1] == "" or text[-1].startswith("    "))
        if not code:
            line = re.sub(r"(`[^`]*`)|<(\w+)>", lambda m: m[1] or f"&lt;{m[2]}&gt;", line)
        if item:
            text.append(("    - " if len(item[1]) > 4 else "- ") + f"**{item[2]}** {item[3]}")
        elif code:
            text.append(line)
        else:
            text.append(re.sub(r"^ {2,}", "    " if text and text[-1].startswith("    ") else "  ", line))
    return re.sub(r"`(mi_\w+)`", lambda name: name[1] + "()" if name[1] in FUNCTIONS else f"`{name[1]}`",
                  "\n".join(text).strip("\n"))


def names_of_parameters(declaration: str) -> list:
    inner = re.search(r"\w\s*\)?\((.*)\)\s*;?$", declaration, re.S)
    if not inner or inner[1].strip() in ("", "void"):
        return []
    return [name for name in (re.search(r"(\w+)\s*(\[\])?$", part.strip()) for part in inner[1].split(",")) if name
            for name in [name[1]]]


def result_of(declaration: str, text: str) -> str:
    """What a function returns, in the words of its comment if those say so."""
    result = re.match(r"(?:typedef )?(.*?)\(?\b\w+\)?\s*\(", declaration)
    if not result or result[1].strip() == "void":
        return ""
    sentences = re.split(r"(?<=[.;?])\s+(?=[A-Z`0])", text.replace("\n", " "))
    for sentence in sentences:
        if re.match(r"Returns\b", sentence):
            return sentence
    if "*" in result[1]:
        return "the block; NULL on a failure, and where the text says so"
    return sentences[0]


def comment(declaration: str, text: str, glossary: dict) -> str:
    name = re.search(r"(\w+)\s*\)?\s*\(", declaration)
    lines = [text]
    is_macro = declaration.startswith("#define")
    for parameter in names_of_parameters(declaration if not is_macro else declaration.split(")")[0] + ")"):
        meaning = glossary.get(f"{name[1]}.{parameter}") or glossary.get(parameter)
        if meaning:
            lines.append(f"@param {parameter} {meaning}")
    if name and not is_macro:
        result = result_of(declaration, text)
        if result:
            lines.append(f"@return {result}")
    return "/** " + "\n".join(lines) + "\n*/"


class Header:
    """One pass over the lines; `out` collects."""

    def __init__(self, path: pathlib.Path):
        self.lines = path.read_text().splitlines()
        self.undefined = set(re.findall(r"#undef\s+(\w+)", "\n".join(self.lines)))  # macros that do not stay
        self.at = 0
        self.out = []
        self.glossary = parameters()
        self.shared = ""  # the comment that the next declaration may share
        self.in_group = False

    def take_comment(self) -> list:
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].startswith("//"):
            self.at += 1
        return self.lines[start:self.at]

    def end_group(self):
        if self.in_group:
            self.out.append("/** @} */")
        self.in_group = False

    def section(self, lines: list) -> bool:
        """A comment between bars opens a group. False: what follows is hidden."""
        self.end_group()
        title = re.sub(r"^// ", "", lines[1])
        if title.startswith(HIDDEN):
            return False
        name, _, rest = title.partition(": ")
        slug = "_".join(re.findall(r"[a-z]+", name.lower()))[:40]
        text = prose(([f"// {rest}"] if rest else []) + lines[2:-1])
        self.out.append(f"/** @defgroup {slug} {name}\n{text}\n*/\n/** @{{ */")
        self.in_group = True
        return True

    def take_declaration(self) -> str:
        """Up to the semicolon outside of braces, or to the end of a macro."""
        text, depth = [], 0
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            text.append(line)
            code = line.split("//")[0].rstrip()
            if text[0].startswith("#"):
                if not line.endswith("\\"):
                    break
                continue
            depth += code.count("{") - code.count("}")
            if depth == 0 and code.endswith(";" if text[0].startswith("typedef") else (";", "}")):
                break
        return "\n".join(text)

    def enumeration(self, declaration: str, text: list) -> str:
        shared, values = "", []
        for line in declaration.splitlines()[1:-1]:
            value = re.match(r"\s*(\w+\s*(?:=\s*[^,/]+)?),?\s*(//.*)?$", line)
            if line.strip().startswith("//"):
                shared = shared + "\n" + line if values and values[-1] is None else line
                values.append(None)
            elif value:
                own = value[2] or shared
                values.append(f"/** {prose(own.splitlines())} */ {value[1].strip()},")
            elif not line.strip():
                shared = ""
        first, last = declaration.splitlines()[0], declaration.splitlines()[-1]
        about = prose(text) or "The options."
        return "\n".join([f"/** {about} */", first] + [v for v in values if v] + [last])

    def structure(self, declaration: str, text: list) -> str:
        """The fields that have a comment; the others are in the comment of the whole, if anywhere."""
        first, *fields, last = NOISE.sub("", declaration).replace("}\n", "} ").splitlines()
        known = [re.match(r"\s*(\w[^;]*;)\s*// (.*)", field) for field in fields]
        about = f"/** {prose(text)} */\n" if text else ""
        return "\n".join([about + first] + [f"{f[1]} /**< {f[2]} */" for f in known if f] + [about + last])

    def declaration(self, text: list):
        raw = self.take_declaration()
        if re.match(r"typedef struct\b[^;]*\{", raw):
            self.out.append(self.structure(re.sub(r"\{ (.*) \}", r"{\n\1\n}", raw), text))
            return
        head = re.split(r" :|\{", raw)[0]
        if "operator" in head or re.search(r"(struct|class|inline [\w ]+\**) _mi_", head):
            return  # an operator, or a thing of ours that has to be in a header
        if re.match(r"(typedef )?enum\b", raw):
            self.out.append(self.enumeration(raw, text))
            return
        clean = raw if raw.startswith("#") else re.sub(r"//[^\n]*", "", raw)
        clean = re.sub(r"\s+", " ", NOISE.sub("", clean)).strip()
        clean = re.sub(r"^\s*static inline |^inline ", "", clean)
        if re.match(r"(template|class|struct)\b", clean):  # of a class: its comment and its name
            clean = re.sub(r"\s*[:{].*", "", clean) + ";"
        clean = re.sub(r"\)\s*\{.*\}$", ");", clean)
        self.shared = prose(text) or self.shared
        self.out.append((comment(clean, self.shared, self.glossary) if self.shared else "") + "\n" + clean)

    def run(self) -> str:
        self.out.append(self.head())
        visible = True
        pending = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.startswith("//"):
                pending = self.take_comment()
                if BAR.match(pending[0]):
                    visible, pending = self.section(pending), []
                elif "clang-format" in pending[0]:
                    pending = []
                continue
            own = re.match(r"#define\s+(mi_(?!decl_|attr_|cdecl)\w+|MI_(?!HAS_)\w+)\b", line)
            is_code = re.match(r"\w", line) and not line.startswith('extern "C"')
            if visible and (own and own[1] not in self.undefined or is_code):
                self.declaration(pending)
            else:
                self.shared = ""
                if is_code:
                    self.take_declaration()
                else:
                    self.at += 1
            pending = []
        self.end_group()
        return "\n".join(self.out)

    def head(self) -> str:
        """The comment at the beginning: the file's."""
        self.at = 1  # after the licence
        lines = self.take_comment()
        name, _, brief = re.sub(r"^// ", "", lines[0]).partition(" - ")
        return f"/** @file {name}\n@brief {brief}\n\n{prose(lines[1:])}\n*/"


FUNCTIONS = set()
for other in (ROOT / "include").glob("*.h"):
    FUNCTIONS |= set(re.findall(r"\bmi_decl_export\b[^;{(]*?(\w+)\s*\(", re.sub(r"//.*", "", other.read_text())))

if __name__ == "__main__":
    print(Header(pathlib.Path(sys.argv[1])).run())
