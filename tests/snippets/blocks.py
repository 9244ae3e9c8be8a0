"""The code blocks of pages (Markdown) and headers (`///` comments), and what is said of each.

A block is fenced, with its language. What a C++ block stands in is said by a comment before it:

    <!-- snippet: prelude=classifier -->      statements, after that struct of preludes.h
    <!-- snippet: continued -->               statements that go on after the block before
    <!-- snippet: none, because ... -->       not compiled, and counted
    <!-- snippet: lines of FILE -->           of a CMake block: its lines are lines of that file

One without a comment is a file of its own, with main(); in a header it takes the prelude
`reference`. A `text` block right after a C++ block is what that prints.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^\s*```(\S*)\s*$")
MARK = re.compile(r"^\s*<!-- snippet: (.*) -->\s*$")
# Code within a comment that stands indented, as formulas do.
LOOSE_CODE = re.compile(r"^[ -~]*;\s*(//.*)?$|natgrad::|\)\.\w+\(")


class BadBlock(Exception):
    """A block that would pass unnoticed."""


@dataclass
class Block:
    file: str
    line: int  # of its first line of code
    language: str
    mark: str | None
    code: list[str] = field(default_factory=list)
    output: list[str] | None = None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def pages(source: Path) -> list[Path]:
    """All Markdown files of the project that its readers are meant to read."""
    return sorted(source.glob("*.md")) + sorted(source.glob("docs/**/*.md"))


def headers(source: Path) -> list[Path]:
    return sorted(source.glob("include/**/*.h"))


def comment_text(line: str) -> str | None:
    """What a `///` line says, or None of any other line."""
    comment = re.match(r"^\s*///(?!<) ?(.*)$", line)
    return comment and comment.group(1)


def text_of(path: Path) -> list[str | None]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [comment_text(line) for line in lines] if path.suffix == ".h" else lines


def check_loose(path: Path, name: str, number: int, line: str) -> None:
    if not line.startswith("    "):
        return
    if path.suffix == ".h" and LOOSE_CODE.search(line):
        raise BadBlock(f"{name}:{number}: code without a fence")
    if path.suffix == ".md" and not line.lstrip().startswith(("-", "*", "|")):
        raise BadBlock(f"{name}:{number}: an indented block: give it a fence and a language")


def blocks_of(path: Path, source: Path) -> list[Block]:
    """The blocks of a file in order, outputs put to what prints them."""
    name = path.relative_to(source).as_posix()
    found: list[Block] = []
    mark: str | None = None
    open_block: Block | None = None
    adjacent = False  # nothing but blank lines since the last block
    for number, line in enumerate(text_of(path), start=1):
        fence = line is not None and FENCE.match(line)
        if open_block is not None:
            if line is None:
                raise BadBlock(f"{open_block.place}: the block does not end")
            if not fence:
                open_block.code.append(line)
                continue
            if open_block.language == "text" and adjacent and found and found[-1].language == "cpp":
                found[-1].output = open_block.code
            else:
                found.append(open_block)
            open_block, mark, adjacent = None, None, True
        elif fence:
            if not fence.group(1):
                raise BadBlock(f"{name}:{number}: a block without a language")
            open_block = Block(name, number + 1, fence.group(1), mark)
        elif line is not None and MARK.match(line):
            mark = MARK.match(line).group(1)
            adjacent = False
        elif line is None or line.strip():
            if mark is not None:
                raise BadBlock(f"{name}:{number}: a mark, and no block after it")
            adjacent = False
            if line is not None:
                check_loose(path, name, number, line)
    if open_block is not None:
        raise BadBlock(f"{open_block.place}: the block does not end")
    return found


def all_blocks(source: Path) -> list[Block]:
    return [b for path in pages(source) + headers(source) for b in blocks_of(path, source)]
