"""plot_curves.py CURVES.json PICTURE.png: training loss and accuracy against epochs and seconds."""

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


def draw(axes, curve, colour):
    loss = [max(value, FLOOR) for value in values(curve, "training_loss")]
    accuracy = [100 * value for value in values(curve, "held_out_share")]
    epochs, seconds = range(len(loss)), values(curve, "seconds")
    style = dict(color=colour, label=curve["method"], linewidth=1.5)
    for row, y in enumerate((loss, accuracy)):
        axes[row, 0].plot(epochs, y, **style)
        axes[row, 1].plot(seconds[1:], y[1:], **style)  # 0 seconds have no logarithm


def label(axes):
    axes[0, 0].set(yscale="log", ylabel="training loss")
    axes[1, 0].set(xlabel="epochs", ylabel="held-out accuracy (%)")
    axes[1, 1].set(xlabel="seconds of training", xscale="log")
    axes[0, 1].legend()
    for ax in axes.flat:
        ax.grid(alpha=0.3)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex="col", sharey="row")
    for number, curve in enumerate(report["curves"]):
        draw(axes, curve, COLOURS[number % len(COLOURS)])
    label(axes)
    # All start near chance; what sets them apart is above.
    lowest = min(100 * values(curve, "held_out_share")[-1] for curve in report["curves"])
    axes[1, 0].set_ylim(max(0, min(80, lowest - 5)), 100)
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
