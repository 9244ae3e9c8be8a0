"""Holds the pages to what they are to be, and to what they speak of.

    check.py SOURCE

README has at most 130 lines; no line of README and guide is longer than 100, but those of tables.
Links lead to files and headings that are there. What is called in shell blocks, or named in code
within the text, is there: scripts, programs, files, names of natgrad's. CMake blocks are lines of a
project that the tests build, JSON blocks are JSON. Each block has a language, and if it is not compiled a reason.
"""

import json
import re
import sys
from pathlib import Path

from blocks import BadBlock, Block, all_blocks, pages

LONGEST_README = 130
WIDEST = 100
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
PATH = re.compile(r"^(?:include|csrc|tests|examples|benchmarks|docs|cmake|script|\.ci)/[\w./-]+$")
PROGRAM = re.compile(r"^(?:build/release/)?(examples|benchmarks|tests)/(\w+)$")


def without_code(text: str) -> str:
    """The same lines, those of fenced blocks empty."""
    lines, inside = [], False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        lines.append("" if inside or fence else line)
        inside ^= fence
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the page's headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Checker:
    def __init__(self, source: Path):
        self.source = source
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}
        self.library = "".join(
            path.read_text(encoding="utf-8") for path in source.glob("include/**/*.h"))
        self.cmake = "".join(
            path.read_text(encoding="utf-8")
            for pattern in ("tests/**/CMakeLists.txt", "CMakePresets.json")
            for path in source.glob(pattern))

    def fault(self, place: str, what: str) -> None:
        self.faults.append(f"{place}: {what}")

    def check_lines(self, page: Path, name: str) -> None:
        lines = page.read_text(encoding="utf-8").splitlines()
        if name == "README.md" and len(lines) > LONGEST_README:
            self.fault(name, f"{len(lines)} lines, {LONGEST_README} are allowed")
        for number, line in enumerate(lines, start=1):
            if len(line) > WIDEST and not line.startswith("|"):
                self.fault(f"{name}:{number}", f"{len(line)} columns, {WIDEST} are allowed")

    def check_links(self, page: Path, name: str) -> None:
        for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
            if re.match(r"\w+://", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                self.fault(name, f"links to {target}, which is not there")
            elif anchor and anchor not in anchors(file):
                self.fault(name, f"links to {target}: no such heading")

    def exists(self, path: str) -> bool:
        if (self.source / path).exists():
            return True
        program = PROGRAM.match(path)
        if not program:
            return False
        folder, stem = program.groups()
        return (self.source / folder / f"{stem}.cpp").exists() or f"({stem} " in self.cmake

    def check_names(self, page: Path, name: str) -> None:
        for code in CODE.findall(without_code(page.read_text(encoding="utf-8"))):
            for own in re.findall(r"natgrad::(?:\w+::)*(\w+)", code):
                if not re.search(rf"\b{own}\b", self.library):
                    self.fault(name, f"natgrad::{own} is in no header")
            first = code.split()[0]
            if PATH.match(first) and not self.exists(first):
                self.fault(name, f"{first} is not there")

    def check_shell(self, block: Block) -> None:
        for word in re.findall(r"[\w./-]+/[\w./-]+", "\n".join(block.code)):
            is_ours = re.match(r"(script|benchmarks|build/release/\w+)/\w+", word)
            if is_ours and not self.exists(word):
                self.fault(block.place, f"calls {word}, which is not there")
        for preset in re.findall(r"--preset (\w+)", "\n".join(block.code)):
            if f'"name": "{preset}"' not in self.cmake:
                self.fault(block.place, f"names the preset {preset}, which is not there")
        for script, option in re.findall(r"(script/\w+) (--\w+)", "\n".join(block.code)):
            known = (self.source / script).read_text(encoding="utf-8") if self.exists(script) else ""
            if script != "script/demo" and option not in known:
                self.fault(block.place, f"{script} knows no {option}")

    def check_cmake(self, block: Block) -> None:
        file = (block.mark or "").removeprefix("lines of ")
        if not (self.source / file).is_file():
            self.fault(block.place, "a CMake block: of which file are these lines?")
            return
        theirs = (self.source / file).read_text(encoding="utf-8")
        for name in ("${program}", "consumer "):
            theirs = theirs.replace(name, name.replace(name.rstrip(), "your_program"))
        known = {line.strip() for line in theirs.split("\n")}
        for line in block.code:
            ours = line.split("#")[0].strip()
            if ours and ours not in known:
                self.fault(block.place, f"`{ours}` is no line of {file}")

    def check_json(self, block: Block) -> None:
        try:
            json.loads("\n".join(block.code))
        except json.JSONDecodeError as error:
            self.fault(block.place, f"is no JSON: {error}")

    def check_block(self, block: Block) -> None:
        self.counts[block.language] = self.counts.get(block.language, 0) + 1
        if (block.mark or "").startswith("none, because "):
            print(f"{block.place} is not checked: {block.mark}")
        elif block.language == "sh":
            self.check_shell(block)
        elif block.language == "cmake":
            self.check_cmake(block)
        elif block.language == "json":
            self.check_json(block)
        elif block.language not in ("cpp", "text"):
            self.fault(block.place, f"nobody checks blocks of {block.language}")

    def run(self) -> int:
        for page in pages(self.source):
            name = page.relative_to(self.source).as_posix()
            if name == "README.md" or name.startswith("docs/guide/"):
                self.check_lines(page, name)
                self.check_names(page, name)
            self.check_links(page, name)
        try:
            for block in all_blocks(self.source):
                self.check_block(block)
        except BadBlock as bad:
            self.faults.append(str(bad))
        print(", ".join(f"{count} blocks of {kind}" for kind, count in sorted(self.counts.items())))
        for fault in self.faults:
            print(fault, file=sys.stderr)
        return 1 if self.faults else 0


if __name__ == "__main__":
    sys.exit(Checker(Path(sys.argv[1]).resolve()).run())
