"""Draws what fisher_equals_ggn found: plot_matrices.py <report.json> <picture.png>."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import SymLogNorm

EQUAL, DIFFERENT = "#0072B2", "#D55E00"  # told apart by colour-blind readers too (Okabe & Ito)
FLOOR = 1e-17  # an exact 0 has no logarithm
COLUMNS = 4


def draw_matrices(figure, pictures):
    """The matrices in rows of four, on one colour scale."""
    rows = -(-len(pictures) // COLUMNS)
    axes = figure.subplots(rows, COLUMNS)
    # Their entries span decades; the scale is linear only near 0.
    largest = max(abs(x) for row in pictures[0]["values"] for x in row)
    scale = SymLogNorm(linthresh=largest / 100, vmin=-largest, vmax=largest)
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, picture) in enumerate(zip(axes.flat, pictures)):
        colour = EQUAL if number < COLUMNS else DIFFERENT
        image = ax.imshow(picture["values"], cmap="RdBu_r", norm=scale, interpolation="nearest")
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.set_title(picture["title"], fontsize=11, color=colour)
        ax.spines[:].set_color(colour)
    figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, label="entry")


def draw_bars(ax, comparisons, bar):
    """All relative differences; the equalities above, the inequalities below."""
    ordered = [c for c in comparisons if c["equal"]] + [c for c in comparisons if not c["equal"]]
    nan = float("nan")
    places = [y if c["equal"] else y + 1 for y, c in enumerate(ordered)]  # a gap between the two
    for y, c in zip(places, ordered):
        difference = nan if c["difference"] is None else max(c["difference"], FLOOR)
        colour = EQUAL if c["equal"] else DIFFERENT
        ax.barh(y, difference, left=FLOOR, height=0.7, color=colour)
        ax.text(difference * 1.4, y, f"{difference:.0e}", va="center", fontsize=8, color=colour)
    signs = {True: "=", False: "≠"}
    names = [f'{c["outputs"]}:  {c["left"]} {signs[c["equal"]]} {c["right"]}' for c in ordered]
    ax.set_yticks(places, names, fontsize=8.5)
    ax.invert_yaxis()
    ax.axvline(bar, color="black", linestyle="--", linewidth=1)
    ax.text(bar * 1.3, 0, f"at most {bar:.0e}: equal", va="center", fontsize=9)
    largest = max(c["difference"] or FLOOR for c in ordered)
    ax.set(xscale="log", xlim=(FLOOR, 100 * largest), xlabel="relative difference (Frobenius norm)")
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure = plt.figure(figsize=(13, 13), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[6, 7])
    draw_matrices(above, report["matrices"])
    above.suptitle(
        "Softmax outputs: the Fisher matrix by four routes (blue), and what is not it (orange)"
    )
    draw_bars(below.subplots(), report["comparisons"], report["equal"])
    below.suptitle("What must be equal (blue), and what must not (orange)")
    figure.suptitle("Fisher = Gauss-Newton: " + report["title"], fontsize=14)
    figure.savefig(target, dpi=100)


if __name__ == "__main__":
    main(*sys.argv[1:])
