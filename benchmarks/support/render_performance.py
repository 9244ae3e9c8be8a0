#!/usr/bin/env python3
"""Writes the tables of Markdown pages from the benchmarks' JSON.

    render_performance.py RESULTS PAGE...

A table stands between two comments,

    <!-- table: NAME "TITLE" [row, ...] column; column: other name; ... -->
    <!-- end of table -->

and is made of RESULTS/NAME.json: of the table with that title, the rows and columns that are
listed, all if none are; a row by the words it begins with. A benchmark of Google's has one table,
of its medians and counters. Below each whole table stands where it comes from. Where the JSON is
missing the table stays as it is.
"""

import json
import pathlib
import re
import sys

MARKS = re.compile(
    r'(<!-- table: (?P<name>\w+)(?: "(?P<title>[^"]*)")?(?: \[(?P<rows>[^\]]*)\])?(?P<columns>[^>]*?) -->\n)'
    r".*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)


def short(number):
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def google_table(results):
    """The medians of CPU time, or single runs, and what else was counted."""
    runs = [run for run in results["benchmarks"] if run.get("aggregate_name", "median") == "median"]
    known = {"name", "run_name", "run_type", "repetitions", "repetition_index", "threads",
             "iterations", "real_time", "cpu_time", "time_unit", "family_index",
             "per_family_instance_index", "aggregate_name", "aggregate_unit"}
    counters = list(dict.fromkeys(key for run in runs for key in run if key not in known))
    rows = [[run["run_name"].split("/manual_time")[0],
             f"{short(run['cpu_time'])} {run['time_unit']}",
             *(short(run[counter]) if counter in run else "-" for counter in counters)]
            for run in runs]
    return {"columns": ["case", "processor time", *counters], "rows": rows}


def table_of(results, title):
    if "benchmarks" in results:
        return google_table(results)
    for table in results["tables"]:
        if not title or table["title"] == title:
            return table
    raise SystemExit(f'no table "{title}"; there are '
                     f'{", ".join(table["title"] for table in results["tables"])}')


def chosen_columns(table, wanted):
    """Indices and titles, from "column; column: other name; ..."."""
    if not wanted.strip():
        return list(enumerate(table["columns"]))
    chosen = []
    for column in wanted.split(";"):
        name, _, other = column.strip().partition(":")
        if name.strip() not in table["columns"]:
            raise SystemExit(f'no column "{name.strip()}"; there are {table["columns"]}')
        chosen.append((table["columns"].index(name.strip()), other.strip() or name.strip()))
    return chosen


def chosen_rows(table, wanted):
    """Those that begin with the words of "row, row, ..."."""
    chosen = []
    for key in wanted.split(","):
        words = key.split()
        found = [row for row in table["rows"] if row[:len(words)] == words]
        if len(found) != 1:
            raise SystemExit(f'{len(found)} rows begin with "{key.strip()}", not one')
        chosen += found
    return chosen


def source_of(results):
    """Where a table comes from, in two lines."""
    origin = results.get("provenance") or results["context"]
    settings = ", ".join(f"{key} {value}" for key, value in results.get("settings", {}).items())
    return (f"`{origin['command']}`{', ' + settings if settings else ''};\n"
            f"natgrad {origin['natgrad']} at {origin['commit']}, LibTorch {origin['libtorch']}, "
            f"{origin['processor']},\n{origin['threads']} thread, {origin['date'][:10]}.\n")


def render(match, folder):
    path = folder / f"{match['name']}.json"
    if not path.exists():
        print(f"{path} is missing: its table stays as it is")
        return match[0]
    results = json.loads(path.read_text())
    table = table_of(results, match["title"])
    columns = chosen_columns(table, match["columns"])
    rows = chosen_rows(table, match["rows"]) if match["rows"] else table["rows"]
    lines = ["| " + " | ".join(title for _, title in columns) + " |",
             "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row[k] for k, _ in columns) + " |" for row in rows]
    source = "" if match["rows"] else source_of(results) + "\n"
    return f"{match[1]}\n" + "\n".join(lines) + f"\n\n{source}{match['end']}"


def main():
    folder, *pages = map(pathlib.Path, sys.argv[1:])
    for page in pages:
        text = page.read_text()
        new, count = MARKS.subn(lambda match: render(match, folder), text)
        if count == 0:
            raise SystemExit(f"{page} has no table to write")
        page.write_text(new)
        print(f"{page}: {count} tables")


if __name__ == "__main__":
    main()
