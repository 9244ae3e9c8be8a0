"""plot_memory.py RUN.json PICTURE.png: loss against steps and seconds, and the damping λ."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Told apart by colour-blind readers too (Okabe & Ito).
COLOURS = ["#0072B2", "#E69F00"]


def values(curve, key):
    return [float("nan") if value is None else value for value in curve[key]]


def draw(axes, curve, colour):
    steps = range(len(curve["loss"]))
    style = dict(color=colour, label=curve["method"], linewidth=1.5)
    axes[0].plot(steps, values(curve, "loss"), **style)
    axes[1].plot(values(curve, "seconds"), values(curve, "loss"), **style)
    axes[2].plot(steps, values(curve, "lambda"), **style)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4))
    for curve, colour in zip(report["curves"], COLOURS):
        draw(axes, curve, colour)
    for ax in axes[:2]:
        ax.axhline(report["chance"], color="grey", linestyle=":", label="chance")
    axes[0].set(xlabel="steps", ylabel="loss (nats a sequence)", yscale="log")
    axes[1].set(xlabel="seconds", yscale="log")
    axes[2].set(xlabel="steps", ylabel="λ", yscale="log")
    axes[0].legend()
    for ax in axes:
        ax.grid(alpha=0.3)
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
