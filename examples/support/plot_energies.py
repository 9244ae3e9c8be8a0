"""plot_energies.py RUN.json PICTURE.png: the energy's relative error against steps and seconds."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from plot_curves import COLOURS, values


def styles(curves):
    """natgrad's two in colour, Adam's go from dark to light by rate."""
    shades = matplotlib.colormaps["Greys"]
    for number, curve in enumerate(curves):
        style = dict(color=shades(0.9 - 0.15 * number), linewidth=1.2)
        if number < 2:
            style = dict(color=COLOURS[number], linewidth=2.5, zorder=3)
        yield curve, style


def draw(left, right, curve, style):
    """Faintly what the samples of each step say, and by all configurations what is so."""
    steps = range(1, len(curve["loss"]) + 1)
    sampled = [abs(value) for value in values(curve, "sampled_error")]
    faint = dict(style, alpha=0.25, linewidth=0.8)
    left.plot(steps, sampled, **faint)
    right.plot(values(curve, "seconds"), sampled, **faint)
    exact = values(curve, "error")
    if not exact:
        return
    at = [int(step) for step in curve["exact_steps"]]
    left.plot(at, exact, label=curve["method"], **style)
    right.plot([curve["seconds"][step - 1] for step in at], exact, **style)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), sharey=True)
    for curve, style in styles(report["curves"]):
        draw(left, right, curve, style)
    left.set(yscale="log", xlabel="steps", ylabel="relative error of the energy")
    left.set_ylim(bottom=1e-6)  # samples that happen to be right go deeper
    right.set(xlabel="seconds")
    left.legend()
    for ax in (left, right):
        ax.grid(alpha=0.3)
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
