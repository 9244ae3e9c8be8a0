"""plot_theory.py REPORT.json PAGE.html: the report on the theory as one page that needs nothing else."""

import base64
import html
import io
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter
from plot_curves import COLOURS

# Lines are told apart by style and marker as well: the page may be printed in black and white.
STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "x", "*"]
MOST_MARKERS = 12  # on one line

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 Georgia, "Times New Roman", serif; color: #111; background: #fff;
       max-width: 62em; margin: 2em auto; padding: 0 1.5em; }
h1, h2, h3, table, nav { font-family: "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9em; line-height: 1.2; margin-bottom: .2em; }
h2 { font-size: 1.4em; margin: 2.5em 0 .6em; padding-top: .4em; border-top: 3px solid #111; }
h2 small { font-weight: normal; font-size: .65em; color: #444; margin-left: .6em; }
a { color: inherit; }
table { border-collapse: collapse; font-size: .82em; margin: 1em 0; }
th, td { border-bottom: 1px solid #bbb; padding: .25em .8em .25em 0; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #111; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
caption { text-align: left; font-weight: bold; padding-bottom: .3em; white-space: nowrap; }
.claim { margin: 1.3em 0; padding: .1em 0 .1em 1em; border-left: 4px solid #888; break-inside: avoid; }
.claim.fails { border-left-style: double; border-left-width: 7px; border-left-color: #111; }
.claim p { margin: .35em 0; }
.words { font-weight: bold; }
.formula { font-size: 1.08em; padding: .1em 0 .1em 1.5em; font-style: italic; }
.measure { font-family: "Helvetica Neue", Arial, sans-serif; font-size: .88em; }
.measure .value { font-variant-numeric: tabular-nums; font-weight: bold; }
.verdict { display: inline-block; border: 1.5px solid #111; border-radius: 3px; padding: 0 .45em;
           font-family: "Helvetica Neue", Arial, sans-serif; font-size: .8em; font-weight: bold; }
.fails .verdict, .verdict.fails { background: #111; color: #fff; }
.care, .origin { font-size: .85em; color: #333; }
.care::before { content: "Read with care: "; font-weight: bold; }
code { font-size: .92em; }
sub, sup { line-height: 0; }
figure { margin: 1.5em 0; break-inside: avoid; }
figure img { max-width: 100%; }
figcaption { font-size: .88em; color: #333; max-width: 50em; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } nav { display: none; } }
"""


def shown(value):
    """A number as text, to three digits."""
    if value is None:
        return "not a number"
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "−")
    text = f"{value:.3g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        power = f"10<sup>{str(int(exponent)).replace('-', '−')}</sup>"
        return power if mantissa == "1" else f"{mantissa}·{power}".replace("-", "−")
    return text.replace("-", "−")


def picture(figure, name):
    """The figure within the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(name)}" src="data:image/svg+xml;base64,{data}">'


def draw_series(ax, number, series):
    xs = [float("nan") if x is None else x for x in series["x"]]
    ys = [float("nan") if y is None else y for y in series["y"]]
    style = STYLES[number % len(STYLES)] if series["line"] else "none"
    ax.plot(xs, ys, linestyle=style, marker=MARKERS[number % len(MARKERS)], markersize=5,
            markevery=max(1, len(xs) // MOST_MARKERS) if series["line"] else None,
            markerfacecolor="white", color=COLOURS[number % len(COLOURS)], linewidth=1.7,
            label=series["label"])


def plain_ticks(axis):
    """2, 5, 10 instead of 2·10⁰, where an axis shows less than two decades."""
    low, high = axis.get_view_interval()
    if 1e-3 < low and high < 1e4 and high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def draw_chart(chart):
    figure, ax = plt.subplots(figsize=(7.2, 4.7), layout="constrained")
    for number, series in enumerate(chart["series"]):
        draw_series(ax, number, series)
    for number, level in enumerate(chart["levels"]):
        ax.axhline(level["y"], color="black", linewidth=1, linestyle=STYLES[3 - number % 2],
                   label=level["label"])
    ax.set(xlabel=chart["x"], ylabel=chart["y"], title=chart["title"])
    ax.set_xscale(chart.get("x_scale", "linear"))
    ax.set_yscale(chart.get("y_scale", "linear"))
    if "y_range" in chart:
        ax.set_ylim(chart["y_range"])
    if chart.get("equal_axes"):
        ax.set_aspect("equal", "datalim")
    for axis, scale in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
        if scale == "log":
            plain_ticks(axis)
    ax.grid(alpha=0.3)
    lines = len(chart["series"]) + len(chart["levels"])
    if lines > 1:
        figure.legend(fontsize=9, loc="outside lower center", ncols=min(lines, 3), frameon=False)
    caption = f'<figcaption>{chart["caption"]}</figcaption>'
    return f'<figure>{picture(figure, chart["title"])}{caption}</figure>'


def draw_matrices(content):
    shown_matrices = content["matrices"]
    figure, axes = plt.subplots(1, len(shown_matrices), squeeze=False, layout="constrained",
                                figsize=(3 * len(shown_matrices), 3.2))
    largest = max(abs(x) for matrix in shown_matrices for row in matrix["values"] for x in row)
    for ax, matrix in zip(axes.flat, shown_matrices):
        sizes = [[(abs(x) / largest) ** 0.5 for x in row] for row in matrix["values"]]
        ax.imshow(sizes, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_title(matrix["title"], fontsize=10)
    caption = "<figcaption>White is 0, black the largest entry; √|entry| is drawn.</figcaption>"
    return f'<figure>{picture(figure, content["title"])}{caption}</figure>'


def draw_table(content):
    def cell(value):
        kind = "" if isinstance(value, str) else ' class="number"'
        return f"<td{kind}>{shown(value)}</td>"

    head = "".join(f"<th>{column}</th>" for column in content["columns"])
    rows = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in content["rows"])
    return f'<table><caption>{content["title"]}</caption><tr>{head}</tr>{rows}</table>'


def bound(claim):
    if claim["relation"] == "=":
        tolerance = f' ± {shown(claim["tolerance"])}' if claim["tolerance"] else ""
        return f'= {shown(claim["limit"])}{tolerance}'
    return f'{claim["relation"]} {shown(claim["limit"])}'


def verdict(claim):
    text = "✓ holds" if claim["verdict"] == "holds" else "✗ does not hold"
    if claim["as_printed"]:
        text += " as printed"
    if not claim["as_expected"]:
        text += " (unexpected)"
    return text


def draw_claim(claim):
    kind = "" if claim["verdict"] == "holds" else " fails"
    lines = [f'<p class="words">{claim["words"]} <span class="verdict">{verdict(claim)}</span></p>']
    if "formula" in claim:
        lines.append(f'<p class="formula">{claim["formula"]}</p>')
    lines.append(f'<p class="measure">{claim.get("what", "")}: <span class="value">{shown(claim["measured"])}'
                 f'</span>, to be {bound(claim)} ({claim.get("reason", "")})</p>')
    if "care" in claim:
        lines.append(f'<p class="care">{claim["care"]}</p>')
    origin = [claim.get("source", ""), claim.get("calls", "")]
    if claim.get("rows"):
        numbers = ", ".join(map(str, claim["rows"]))
        origin.append(f'row{"s" if len(claim["rows"]) > 1 else ""} {numbers} of the list of claims')
    lines.append(f'<p class="origin">{" · ".join(filter(None, origin))} · <code>{claim["id"]}</code></p>')
    return f'<div class="claim{kind}" id="{claim["id"]}">{"".join(lines)}</div>'


DRAWN = {"claim": draw_claim, "chart": draw_chart, "table": draw_table, "matrices": draw_matrices,
         "text": lambda text: f"<p>{text}</p>"}


def claims_of(section):
    return [part["content"] for part in section["parts"] if part["kind"] == "claim"]


def overview(sections):
    rows = []
    for section in sections:
        claims = claims_of(section)
        held = sum(claim["verdict"] == "holds" for claim in claims)
        slips = sum(claim["as_printed"] for claim in claims)
        unexpected = sum(not claim["as_expected"] for claim in claims)
        rows.append(f'<tr><td><a href="#{section["name"]}">{section["source"]} {section["title"]}</a></td>'
                    f'<td class="number">{len(claims)}</td><td class="number">{held}</td>'
                    f'<td class="number">{slips}</td><td class="number">{unexpected}</td>'
                    f'<td class="number">{section["seconds"]:.1f}</td></tr>')
    head = ("<tr><th>section</th><th>claims</th><th>hold</th><th>slips in print</th><th>unexpected</th>"
            "<th>seconds</th></tr>")
    return f"<nav><table>{head}{''.join(rows)}</table></nav>"


def all_verdicts(sections):
    rows = []
    for section in sections:
        for claim in claims_of(section):
            kind = "" if claim["verdict"] == "holds" else " fails"
            rows.append(f'<tr><td>{claim.get("source", "")}</td><td><a href="#{claim["id"]}">{claim["words"]}</a></td>'
                        f'<td class="number">{shown(claim["measured"])}</td><td class="number">{bound(claim)}</td>'
                        f'<td><span class="verdict{kind}">{verdict(claim)}</span></td></tr>')
    head = "<tr><th>source</th><th>claim</th><th>measured</th><th>to be</th><th>verdict</th></tr>"
    return f'<h2 id="verdicts">All verdicts</h2><table>{head}{"".join(rows)}</table>'


def page(report):
    sections = report["sections"]
    body = [f"<h1>{report['title']}</h1>", f"<p>{report['introduction']}</p>", overview(sections)]
    for section in sections:
        body.append(f'<h2 id="{section["name"]}">{section["title"]} <small>{section["source"]}</small></h2>')
        body += [DRAWN[part["kind"]](part["content"]) for part in section["parts"]]
    body.append(all_verdicts(sections))
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{report["title"]}</title>'
            f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n")


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    matplotlib.rcParams["svg.hashsalt"] = "natgrad"  # the same numbers make the same page
    with open(target, "w", encoding="utf-8") as file:
        file.write(page(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
