"""plot_objectives.py CURVES.json PICTURE.png: training objective against seconds of optimization."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Told apart by colour-blind readers too (Okabe & Ito).
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000"]


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, axes = plt.subplots(figsize=(8, 5))
    highest = 0
    for number, curve in enumerate(report["curves"]):
        colour = COLOURS[number % len(COLOURS)]
        objective = [float("nan") if y is None else y for y in curve["objective"]]
        axes.plot(curve["seconds"], objective, color=colour, label=curve["method"], linewidth=1.5)
        highest = max(highest, max(objective[len(objective) // 20 + 1 :], default=0))
    axes.set(xlabel="seconds of optimization", ylabel="training objective (nats an image)",
             yscale="log", title=report["title"])
    if highest > 0:
        axes.set_ylim(top=1.1 * highest)  # the start is far above
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
