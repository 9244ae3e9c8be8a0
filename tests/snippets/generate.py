"""Writes the C++ blocks of pages and headers into files that the test program is made of.

    generate.py SOURCE OUTPUT...

Each block becomes a function that runs it, with `#line`, so that the compiler's messages name the
page. What is not compiled is counted, with the reason. A file whose text stays is not touched.
"""

import re
import sys
from pathlib import Path

from blocks import BadBlock, Block, all_blocks

INCLUDE = re.compile(r"^\s*#include\s")
MAIN = re.compile(r"^int main\(\) \{$")

HEADER = """// Written by tests/snippets/generate.py: the code blocks of pages and headers.
#include "snippets/preludes.h"
#include "snippets/runner.h"
"""


class Snippet:
    """A block, with those that continue it."""

    def __init__(self, first: Block):
        self.blocks = [first]

    @property
    def name(self) -> str:
        return re.sub(r"\W", "_", self.blocks[0].place)

    @property
    def is_program(self) -> bool:
        return self.blocks[0].mark is None and self.blocks[0].file.endswith(".md")

    @property
    def prelude(self) -> str:
        mark = self.blocks[0].mark
        return "reference" if mark is None else mark.removeprefix("prelude=")

    def includes(self) -> list[str]:
        return [line for b in self.blocks for line in b.code if INCLUDE.match(line)]

    def size(self) -> int:
        return sum(len(b.code) for b in self.blocks)

    def body(self) -> str:
        lines = []
        for block in self.blocks:
            lines.append(f'#line {block.line} "{block.file}"')
            # Includes go to the top of the file; blank lines stand for them.
            lines += ["" if INCLUDE.match(line) else line for line in block.code]
        return "\n".join(lines)

    def expected(self) -> str:
        lines = [line for b in self.blocks for line in b.output or []]
        return "\n".join(lines)

    def definition(self) -> str:
        if not self.is_program:
            return f"struct {self.name} : prelude::{self.prelude} {{ void run() {{\n{self.body()}\n}} }};\n"
        body = "\n".join(MAIN.sub("void program() {", line) for line in self.body().split("\n"))
        if body.count("void program() {") != 1:
            raise BadBlock(f"{self.blocks[0].place}: no mark, and no `int main() {{`: which prelude?")
        return f"namespace {self.name} {{\n{body}\n}}\n"

    def entry(self) -> str:
        call = f"{self.name}::program()" if self.is_program else f"{self.name}().run()"
        return f'{{"{self.blocks[0].place}", [] {{ {call}; }}, R"~({self.expected()})~"}}'


def group(blocks: list[Block]) -> tuple[list[Snippet], list[Block]]:
    """What is to be compiled, and what is not."""
    snippets: list[Snippet] = []
    left_out: list[Block] = []
    for block in blocks:
        mark = block.mark or ""
        if mark.startswith("none, because "):
            left_out.append(block)
        elif block.language != "cpp":
            continue  # check.py looks at these
        elif mark == "continued":
            if not snippets or snippets[-1].blocks[-1].file != block.file:
                raise BadBlock(f"{block.place}: continues nothing")
            snippets[-1].blocks.append(block)
        elif mark and not re.fullmatch(r"prelude=\w+", mark):
            raise BadBlock(f"{block.place}: cannot read the mark `{mark}`")
        else:
            snippets.append(Snippet(block))
    return snippets, left_out


def write(output: Path, index: int, snippets: list[Snippet]) -> None:
    includes = sorted({line.strip() for s in snippets for line in s.includes()})
    definitions = "\n".join(s.definition() for s in snippets)
    entries = ",\n".join(s.entry() for s in snippets)
    text = (
        HEADER + "\n".join(includes) + "\n\nnamespace {\n" + definitions + "\n}  // namespace\n\n"
        f"namespace snippets {{\nstd::vector<Snippet> part_{index}() {{\n"
        f"return {{\n{entries}\n}};\n}}\n}}  // namespace snippets\n"
    )
    if not output.exists() or output.read_text(encoding="utf-8") != text:
        output.write_text(text, encoding="utf-8")


def share(snippets: list[Snippet], parts: int) -> list[list[Snippet]]:
    """Runs of about equally many lines."""
    total = sum(s.size() for s in snippets)
    shares: list[list[Snippet]] = [[] for _ in range(parts)]
    seen = 0
    for snippet in snippets:
        shares[min(parts - 1, seen * parts // max(total, 1))].append(snippet)
        seen += snippet.size()
    return shares


def main() -> int:
    source, outputs = Path(sys.argv[1]).resolve(), [Path(name) for name in sys.argv[2:]]
    try:
        snippets, left_out = group(all_blocks(source))
        for index, part in enumerate(share(snippets, len(outputs))):
            write(outputs[index], index, part)
    except BadBlock as bad:
        print(bad, file=sys.stderr)
        return 1
    count = sum(len(s.blocks) for s in snippets)
    print(f"{count} C++ blocks compiled; {len(left_out)} blocks left out:")
    for block in left_out:
        print(f"  {block.place}: {block.mark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
