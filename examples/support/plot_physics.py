"""plot_physics.py RUN.json PICTURE.png: errors against seconds, the solution and what was found."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from plot_curves import COLOURS, values


def styles(curves):
    """natgrad's stands out, L-BFGS is the other colour, Adam's go from dark to light by rate."""
    shades = matplotlib.colormaps["Greys"]
    for number, curve in enumerate(curves):
        style = dict(color=shades(0.9 - 0.2 * number), linewidth=1.2)
        if number == 0:
            style = dict(color=COLOURS[0], linewidth=2.5, zorder=3)
        if curve["method"] == "L-BFGS":
            style = dict(color=COLOURS[1], linewidth=2)
        yield curve, style


def draw_errors(ax, runs):
    for number, curves in enumerate(runs):
        for curve, style in styles(curves):
            label = curve["method"] if number == 0 else None
            ax.plot(values(curve, "seconds"), values(curve, "error"), label=label, **style)
    ax.set(yscale="log", xlabel="seconds of training", ylabel="relative error of u")
    ax.grid(alpha=0.3)
    ax.legend(loc="center right")


def draw_field(figure, ax, field, title, axes):
    image = ax.imshow(np.array(field).T, origin="lower", extent=(0, 1, 0, 1), cmap="viridis")
    ax.set(title=title, xlabel=axes[0], ylabel=axes[1])
    figure.colorbar(image, ax=ax, shrink=0.7)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, axes = plt.subplots(1, 4, figsize=(18, 4.5), width_ratios=[1.4, 1, 1, 1])
    draw_errors(axes[0], report["runs"])
    exact, found = np.array(report["exact"], float), np.array(report["found"], float)
    draw_field(figure, axes[1], exact, "the solution", report["axes"])
    draw_field(figure, axes[2], found, "found by least squares", report["axes"])
    draw_field(figure, axes[3], found - exact, "the difference", report["axes"])
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
