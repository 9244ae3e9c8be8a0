"""page_filter.py PAGE: a page for Doxygen, which knows headings by labels that GitHub makes itself.

Each heading gets a label, links to a page's heading lead to it, and comments go. Pages that are not
in the site (the licence) are named without a link.
"""

import re
import sys
from pathlib import Path

HEADING = re.compile(r"^(#{2,6}) (.*)$")
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+://)([^)\s#]*)#?([^)\s]*)\)")


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def label(page: Path, anchor: str) -> str:
    """One that no other page has; Doxygen takes ASCII alone."""
    name = f"{page.parent.name}-{page.stem}-{anchor}".lower()
    return re.sub(r"[^a-z0-9_-]", "_", name)


def filtered(page: Path) -> str:
    def link(found: re.Match) -> str:
        text, path, anchor = found.groups()
        target = (page.parent / path).resolve() if path else page
        if anchor:
            return f"[{text}](@ref {label(target, anchor)})"
        return found.group(0) if target.suffix in (".md", ".png") else text

    lines, inside = [], False
    for line in page.read_text(encoding="utf-8").split("\n"):
        inside ^= line.lstrip().startswith("```")
        heading = HEADING.match(line)
        if not inside and heading:
            line = f"{line} {{#{label(page, slug(heading.group(2)))}}}"
        elif not inside:
            line = re.sub(r"<!--.*-->", "", LINK.sub(link, line))
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(filtered(Path(sys.argv[1]).resolve()))
