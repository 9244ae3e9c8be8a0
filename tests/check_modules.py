"""Holds the includes to the table of modules in docs/design.md: none of one further down.

    check_modules.py SOURCE
"""

import re
import sys
from pathlib import Path

ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
INCLUDE = re.compile(r'^#include [<"](?:natgrad/)?(\w+)/', re.MULTILINE)


def main() -> int:
    source = Path(sys.argv[1])
    table = (source / "docs/design.md").read_text(encoding="utf-8").partition("## Modules")[2]
    modules = ROW.findall(table.partition("\n## ")[0])
    order = {module: place for place, module in enumerate(modules)}
    faults, files = [], 0
    for folder in (source / "csrc", source / "include/natgrad"):
        faults += [f"{path} is of no module of docs/design.md"
                   for path in folder.iterdir() if path.is_dir() and path.name not in order]
        for path in sorted(folder.glob("*/*.*")):
            files += 1
            faults += [f"{path.relative_to(source)} includes {used}, which is further down"
                       for used in INCLUDE.findall(path.read_text(encoding="utf-8"))
                       if order.get(used, -1) > order.get(path.parent.name, len(order))]
    print(*faults, f"{files} files of {len(modules)} modules", sep="\n")
    return 1 if faults or not files else 0


sys.exit(main())
