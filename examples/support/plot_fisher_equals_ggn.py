"""Draws what fisher_equals_ggn found: plot_fisher_equals_ggn.py <report.json> <picture.png>.

Reads in black and white: what is told apart by colour is told apart by marker, dash or place too.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import SymLogNorm

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # Okabe & Ito
FLOOR = 1e-17  # an exact 0 has no logarithm
EQUAL, EQUAL_FLOAT, DIFFERENT = 1e-10, 1e-4, 1e-3  # the bars: in double, in float32
ROUTES = [  # key, label, marker, colour, filled
    ("gauss_newton", "(b) GGN", "o", BLUE, True),
    ("score_products", "(c) E[score scoreᵀ]", "^", GREEN, True),
    ("minus_hessian", "(d) -E[∇² log r]", "s", ORANGE, True),
    ("empirical", "empirical Fisher", "x", "black", True),
    ("hessian", "Hessian of the objective", "d", "grey", False),
]


def on_log_axis(number):
    return float("nan") if number is None else max(number, FLOOR)


def draw_matrices(figure, pictures):
    """The matrices in two rows, on one colour scale."""
    axes = figure.subplots(2, 4)
    # Their entries span decades; the scale is linear only near 0.
    largest = max(abs(x) for row in pictures[0]["values"] for x in row)
    scale = SymLogNorm(linthresh=largest / 100, vmin=-largest, vmax=largest)
    for ax, picture in zip(axes.flat, pictures):
        # Its lightness tells the sign, so that it can be printed in grey.
        image = ax.imshow(picture["values"], cmap="cividis", norm=scale, interpolation="nearest")
        ax.set(xticks=[], yticks=[], xlabel="weight", ylabel="weight")
        equal = picture["is_fisher"]
        relation = "= F" if equal else "≠ F"
        if picture["is_empirical"] and picture["title"] != "empirical Fisher":
            relation += ", = empirical Fisher"
        ax.set_title(picture["title"] + ("\n" + relation if picture is not pictures[0] else ""),
                     fontsize=10)
        ax.spines[:].set_linewidth(2 if equal else 0.8)
        ax.spines[:].set_linestyle("-" if equal else (0, (3, 3)))
    figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, label="entry")
    figure.suptitle("Softmax outputs: four routes to one matrix, and what is often taken for it")


def mark_bars(ax, bars=(EQUAL, DIFFERENT)):
    """Where differences count as rounding, and from where on as real."""
    ax.axvspan(FLOOR / 10, bars[0], color="0.93", zorder=0)
    for bar in bars:
        ax.axvline(bar, color="black", linestyle="--", linewidth=1)
    ax.set(xscale="log", xlim=(FLOOR / 3, 1e6), xticks=[10.0**k for k in range(-16, 7, 4)])
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)


def draw_routes(ax, y, line, keys, filled=None):
    """A row of markers, one a route."""
    shown = [route for route in ROUTES if route[0] in keys]
    for place, (key, _, marker, colour, full) in enumerate(shown):
        face = colour if (full if filled is None else filled) else "white"
        height = y + 0.5 * (place / (len(shown) - 1) - 0.5)
        ax.scatter(on_log_axis(line[key]), height, marker=marker, s=30, linewidths=1.2,
                   facecolor=colour if marker == "x" else face,
                   **({} if marker == "x" else {"edgecolor": colour}), zorder=3)


def route_legend(keys, **more):
    handles = []
    for key, label, marker, colour, full in ROUTES:
        if key in keys:
            face = colour if full else "white"
            handles.append(plt.Line2D([], [], linestyle="", marker=marker, color=colour,
                                      markerfacecolor=face, label=label))
    return dict(handles=handles, fontsize=9, **more)


def draw_families(ax, lines):
    """A row a family: those of natural parameters above, the others below."""
    keys = [route[0] for route in ROUTES]
    places, names, y = [], [], 0
    for title, kind in (("z natural parameters:  (b) = (c) = (d) = F", "natural"),
                        ("z not natural:  (c) = (d) = F, but (b) ≠ F", "not natural"),
                        ("log r has a kink:  (b), (d) ≠ F, (c) = F and, since\n"
                         "|score| is constant, the empirical Fisher too", "kinked")):
        ax.text(1e-8, y, title, fontsize=10, fontweight="bold", va="center", ha="left",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, zorder=4)
        y += 1
        for line in (x for x in lines if x["outputs"] == kind):
            draw_routes(ax, y, line, keys)
            places.append(y)
            names.append(f'{line["name"]}  ({line["parameters"]})')
            y += 1
    mark_bars(ax)
    ax.set_yticks(places, names, fontsize=9)
    ax.set_ylim(y - 0.3, -0.7)
    ax.set_xlabel("‖A - F‖/‖F‖ of the matrix A;  shaded: equal to rounding, at most 1e-10;\n"
                  "beyond the second dashed line: different")
    ax.set_title("All output distributions of the library, against F by its closed formula")
    ax.legend(**route_legend(keys, loc="upper center", bbox_to_anchor=(0.4, -0.065), ncols=3))


def draw_split(ax, curve):
    """The split before and after the softmax, by what the targets are."""
    lines = [("after_to_fisher", "split after the softmax: to F", "-", "o", ORANGE),
             ("after_to_empirical", "after: to the empirical Fisher", "--", "x", "black"),
             ("after_to_scores", "after: to E over the targets of score scoreᵀ", ":", "s", GREEN),
             ("before_to_fisher", "split before the softmax: to F", "-", None, BLUE)]
    for key, label, dash, marker, colour in lines:
        ax.plot(curve["share"], curve[key], linestyle=dash, marker=marker, markevery=2,
                markersize=5, color=colour, label=label, markerfacecolor="white")
    ax.set(xlabel="share of the model's own probabilities in the targets (0: one-hot)",
           ylabel="‖GGN - ...‖/‖F‖", ylim=(-0.1, None))
    ax.set_title("The split of network and loss, before and after the softmax")
    ax.legend(fontsize=9)
    ax.grid(alpha=0.3)


TASKS = [("o", BLUE, "-"), ("s", GREEN, "--"), ("^", ORANGE, "-.")]


def draw_losses(ax, tasks):
    for (marker, colour, dash), task in zip(TASKS, tasks):
        steps = range(1, len(task["fisher"]) + 1)
        ax.plot(steps, task["fisher"], color=colour, linestyle=dash,
                label=f'{task["outputs"]}: Fisher')
        ax.plot(steps, task["gauss_newton"], linestyle="", marker=marker, color=colour,
                markerfacecolor="white", label=f'{task["outputs"]}: GGN')
    ax.set(xlabel="step", ylabel="loss after it")
    ax.set_title("Hessian-free optimization under Fisher matrix and GGN")
    ax.legend(fontsize=8)
    ax.grid(alpha=0.3)


def draw_distances(ax, tasks):
    for (marker, colour, dash), task in zip(TASKS, tasks):
        steps = range(1, len(task["apart"]) + 1)
        ax.plot(steps, task["apart"], marker=marker, color=colour, linestyle=dash,
                markerfacecolor="white", label=task["outputs"])
        if task["natural"]:
            ax.plot(steps, task["rounding"], linestyle=":", color=colour)
    ax.plot([], [], linestyle=":", color="black",
            label="dotted: Fisher from itself, starts off in the last digit")
    ax.set(yscale="log", xlabel="step", ylabel="‖θ_F - θ_G‖/‖θ_F - θ₀‖")
    ax.set_title("How far the two are apart, and what rounding does by itself")
    ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    ax.grid(alpha=0.3)


def draw_models(ax, lines):
    """A row a network, family and precision."""
    keys = ["gauss_newton", "score_products", "minus_hessian"]
    for y, line in enumerate(lines):
        draw_routes(ax, y, line, keys, filled=line["precision"] == "double")
    mark_bars(ax, (EQUAL, EQUAL_FLOAT, DIFFERENT))
    names = [f'{x["model"]}, {x["weights"]:,}; {x["family"]}, {x["precision"]}' for x in lines]
    ax.set_yticks(range(len(lines)), names, fontsize=8)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.set_xlabel("‖A v - F v‖/‖F v‖ ((b): over ‖G v‖), random v;  filled: double,\n"
                  "open: float32, where at most 1e-4 (dashed) is equal")
    ax.set_title("Networks and their numbers of weights: by products alone, no matrix formed")
    ax.legend(**route_legend(keys, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3))


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    rows = []  # height, draw
    if "split" in report:
        rows.append((4, lambda ax: draw_split(ax, report["split"]["curve"])))
    if "trajectory" in report:
        rows.append((4, lambda ax: draw_losses(ax, report["trajectory"])))
        rows.append((4, lambda ax: draw_distances(ax, report["trajectory"])))
    if "models" in report:
        height = 1.2 + 0.24 * len(report["models"])
        rows.append((height, lambda ax: draw_models(ax, report["models"])))
    families = "families" in report
    above = 6.5 if "split" in report else 0
    below = max(sum(row[0] for row in rows), 11.5 if families else 0)
    figure = plt.figure(figsize=(19 if families and rows else 11, 0.6 + above + below),
                        layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[above, below]) if above else [figure, figure]
    if above:
        draw_matrices(parts[0], report["split"]["matrices"])
    place = parts[1]
    if families and rows:
        left, place = place.subfigures(1, 2, width_ratios=[9, 9])
        draw_families(left.subplots(), report["families"])
    elif families:
        draw_families(place.subplots(), report["families"])
    if rows:
        axes = place.subplots(len(rows), 1, height_ratios=[row[0] for row in rows], squeeze=False)
        for ax, (_, draw) in zip(axes.flat, rows):
            draw(ax)
    figure.suptitle("Fisher = generalized Gauss-Newton (GGN): " + report["title"], fontsize=15)
    figure.savefig(target, dpi=80)


if __name__ == "__main__":
    main(*sys.argv[1:])
