#!/usr/bin/env python3
"""Writes the tables of a Markdown page from the benchmarks' JSON.

    render_performance.py PAGE RESULTS

A table stands between two comments,

    <!-- table: NAME "TITLE" column; column: other name; ... -->
    <!-- end of table -->

and is made of RESULTS/NAME.json: of the table with that title, the columns that are listed, all if
none are. A benchmark of Google's has one table, of its medians and counters. Below each table
stands where it comes from. Where the JSON is missing the table stays as it is.
"""

import json
import pathlib
import re
import sys

MARKS = re.compile(
    r'(<!-- table: (?P<name>\w+)(?: "(?P<title>[^"]*)")?(?P<columns>[^>]*?) -->\n)'
    r".*?(<!-- end of table -->)",
    re.DOTALL,
)


def google_table(results):
    """The medians of CPU time, or single runs, and what else was counted."""
    runs = [run for run in results["benchmarks"] if run.get("aggregate_name", "median") == "median"]
    known = {"name", "run_name", "run_type", "repetitions", "repetition_index", "threads",
             "iterations", "real_time", "cpu_time", "time_unit", "family_index",
             "per_family_instance_index", "aggregate_name", "aggregate_unit"}
    counters = list(dict.fromkeys(key for run in runs for key in run if key not in known))
    rows = [[run["run_name"].split("/manual_time")[0].replace("|", "\\|"),
             f"{run['cpu_time']:.3g} {run['time_unit']}",
             *(f"{run[counter]:.3g}" if counter in run else "-" for counter in counters)]
            for run in runs]
    return {"columns": ["", "processor time", *counters], "rows": rows}


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
    lines = ["| " + " | ".join(title for _, title in columns) + " |",
             "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row[k] for k, _ in columns) + " |" for row in table["rows"]]
    return f"{match[1]}\n" + "\n".join(lines) + f"\n\n{source_of(results)}\n{match[5]}"


def main():
    page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    text = page.read_text()
    new, count = MARKS.subn(lambda match: render(match, folder), text)
    if count == 0:
        raise SystemExit(f"{page} has no table to write")
    page.write_text(new)
    print(f"{page}: {count} tables")


if __name__ == "__main__":
    main()
