"""plot_uncertainty.py REPORT.json PICTURE.png: what uncertain_regression learnt, and its curves."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from plot_curves import COLOURS, styles, values


def around(gaussians, times):
    return [m + times * s for m, s in zip(gaussians["mean"], gaussians["deviation"])]


def draw_band(ax, report):
    """The examples, the learnt mean ± 2σ, and the true ones to compare with."""
    data, learnt, truth = report["data"], report["learnt"], report["truth"]
    x, blue = learnt["x"], COLOURS[0]
    ax.scatter(data["x"], data["y"], s=4, color="0.55", label="training data")
    low, high = around(learnt, -2), around(learnt, 2)
    ax.fill_between(x, low, high, color=blue, alpha=0.25, linewidth=0, label="learnt ± 2σ")
    ax.plot(x, learnt["mean"], color=blue, linewidth=2, label="learnt mean")
    for times in (-2, 0, 2):
        name = "true mean and ± 2σ" if times == 0 else None
        ax.plot(x, around(truth, times), color="black", linestyle="--", linewidth=1, label=name)
    ax.set(title="NaturalGradient", xlabel="x", ylabel="y")
    ax.legend(loc="upper left", ncols=2)


def draw_curves(above, below, report):
    for curve, style in styles(report["curves"]):
        seconds = values(curve, "seconds")
        above.plot(seconds, values(curve, "training_loss"), **style)
        below.plot(seconds, [100 * value for value in values(curve, "held_out_share")], **style)
    reference = dict(color="black", linestyle="--", linewidth=1)
    above.axhline(report["truth"]["training_loss"], **reference)
    below.axhline(95.4, **reference, label="the truth")
    above.set(ylabel="training loss (NLL)")
    below.set(xlabel="seconds of training", ylabel=f"held-out {report['share']} (%)", ylim=(80, 100))
    below.legend(loc="lower right", ncols=2)  # the curves are above
    for ax in (above, below):
        ax.grid(alpha=0.3)


def main(source, target):
    with open(source) as file:
        report = json.load(file)
    figure, axes = plt.subplot_mosaic(
        [["band", "loss"], ["band", "share"]], figsize=(13, 7), width_ratios=[3, 2]
    )
    draw_band(axes["band"], report)
    draw_curves(axes["loss"], axes["share"], report)
    figure.suptitle(report["title"])
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
