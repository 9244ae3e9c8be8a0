"""plot_curves.py CURVES.json PICTURE.png: training loss against seconds, held-out accuracy beside it."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Told apart by colour-blind readers too (Okabe & Ito).
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000"]
FLOOR = 1e-8  # a float32 loss of exactly 0 has no logarithm


def values(curve, key):
    return [float("nan") if value is None else value for value in curve[key]]


def styles(curves):
    """The first curve, the natural gradient's, stands out; Adam's go from dark to light by rate."""
    shades = matplotlib.colormaps["inferno"]
    for number, curve in enumerate(curves):
        style = dict(color=COLOURS[0], linewidth=3, zorder=3)
        if number > 0:
            style = dict(color=shades(number / (len(curves) + 1)), linewidth=1.2)
        yield curve, dict(style, label=curve["method"])


def draw_loss(ax, curves):
    for curve, style in styles(curves):
        loss = [max(value, FLOOR) for value in values(curve, "training_loss")]
        ax.plot(values(curve, "seconds"), loss, **style)
    ax.set(yscale="log", xlabel="seconds of training", ylabel="training loss")


def draw_share(ax, curves, name):
    for curve, style in styles(curves):
        ax.plot(values(curve, "seconds"), [100 * v for v in values(curve, "held_out_share")], **style)
    # All start near chance; what sets them apart is above.
    lowest = min(100 * values(curve, "held_out_share")[-1] for curve in curves)
    highest = max(100 * max(values(curve, "held_out_share")) for curve in curves)
    ax.set(xlabel="seconds of training", ylabel=f"held-out {name} (%)")
    ax.set_ylim(max(0, lowest - 5, highest - 20), min(100, highest + 2))


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5))
    draw_loss(left, report["curves"])
    draw_share(right, report["curves"], report["share"])
    for ax in (left, right):
        ax.grid(alpha=0.3)
    right.legend(loc="lower right", ncols=2)
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
