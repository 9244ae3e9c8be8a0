"""plot_curvatures.py REPORT.json PICTURE.png: spectra and distances of curvature matrices."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm
from plot_curves import COLOURS

FLOOR = 1e-16  # an exact 0 has no logarithm
STYLES = ["-", "--"]


def draw_spectra(ax, matrices):
    for number, matrix in enumerate(matrices):
        sizes = sorted((abs(value) for value in matrix["eigenvalues"]), reverse=True)
        style = STYLES[number // len(COLOURS)]
        colour = COLOURS[number % len(COLOURS)]
        label = f'{matrix["name"]}: rank {matrix["rank"]}'
        ax.plot(range(1, len(sizes) + 1), sizes, style, color=colour, label=label, linewidth=1.5)
    largest = max(max(matrix["eigenvalues"]) for matrix in matrices)
    ax.set(yscale="log", ylim=(1e-10 * largest, 3 * largest))
    ax.set(xlabel="number", ylabel="|eigenvalue|", title="Spectra")
    ax.legend(fontsize=7.5, loc="lower left")
    ax.grid(alpha=0.3)


def draw_distances(figure, ax, matrices, distances):
    shown = [[max(value, FLOOR) for value in row] for row in distances]
    image = ax.imshow(shown, cmap="viridis", norm=LogNorm(1e-3, 10))
    names = [matrix["name"] for matrix in matrices]
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    for i, row in enumerate(distances):
        for j, value in enumerate(row):
            ax.text(j, i, f"{value:.0e}" if 0 < value < 0.01 else f"{value:.2g}", ha="center",
                    va="center", fontsize=5.5, color="white" if value < 0.3 else "black")
    ax.set_title("‖A - B‖/‖B‖, A the row")
    figure.colorbar(image, ax=ax, shrink=0.8, extend="both")


def draw_training(ax, training):
    steps = [row["steps"] for row in training]
    ax.plot(steps, [row["loss"] for row in training], "o-", color=COLOURS[0], label="loss")
    ax.plot(steps, [row["length"] for row in training], "^-", color=COLOURS[2],
            label="length of its step over that of the natural gradient")
    ax.set(xlabel="natural-gradient steps", ylabel="loss, length", yscale="log")
    ax.set_title("The empirical Fisher matrix while the network learns")
    ax.grid(alpha=0.3)
    right = ax.twinx()
    right.plot(steps, [row["cosine"] for row in training], "s-", color=COLOURS[4],
               label="cosine of its step with the natural gradient")
    right.set_ylim(min(0, min(row["cosine"] for row in training)), 1)
    right.set_ylabel("cosine")
    handles = ax.get_legend_handles_labels(), right.get_legend_handles_labels()
    ax.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="upper center", fontsize=8)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure = plt.figure(figsize=(14, 11), layout="constrained")
    axes = figure.subplot_mosaic([["spectra", "distances"], ["training", "distances"]],
                                 width_ratios=[1, 1.1])
    draw_spectra(axes["spectra"], report["matrices"])
    draw_distances(figure, axes["distances"], report["matrices"], report["distances"])
    draw_training(axes["training"], report["training"])
    figure.suptitle("Curvature matrices of " + report["title"], fontsize=13)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
