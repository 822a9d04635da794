"""The quality of a classifier: confusions, calibration of its confidence, and errors among its confident answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sslcli.evaluation.quality import BINS, Quality, wilson
from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.curves import LOOKS
from sslcli.figures.palette import LIGHT

SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", LIGHT.gain])
FEW = 20  # images: a bin with fewer is drawn pale and not joined
PALE = 0.3
SMALLEST, LARGEST = 3.0, 9.0  # points: the marker sizes of an empty bin and of the fullest
HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\")
APART = 0.1  # inches between a row of matrices and the title and legend, which would cover the middle one of three
CELL = 0.42  # inches per class in a confusion matrix
MOST_NUMBERED = 20  # classes; with more, the cells are too small for numbers
WIDEST = 42.0  # inches of a matrix: with more than a hundred classes the cells are smaller


@dataclass(frozen=True)
class Judged:
    """An evaluation's quality and its name in the figures; `look` is its index in LOOKS."""

    label: str
    quality: Quality
    look: int = 0

    @property
    def style(self) -> dict[str, Any]:
        """The style of its curve for matplotlib."""
        return LOOKS[self.look % len(LOOKS)] | {"markersize": 5}


@styled
def draw_confusion(judged: Sequence[Judged], *, classes: Sequence[str], title: str, subtitle: str) -> Figure:
    """A matrix for each evaluation, side by side: for each true class (row) the per cent predicted as each class."""
    side = 1.3 + min(WIDEST, max(2.6, CELL * len(classes)))
    width, height = side * len(judged), side + 1.2
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained", rect=(0, APART / height, 1, 1 - 2 * APART / height))
    figure.suptitle(wrapped(title, round(9 * width)))
    legend = "per cent of the images of the true class; rows add up to 100, an empty cell is 0"
    figure.supxlabel(wrapped(f"{legend}\n{subtitle}", round(15 * width)), fontsize=7.5, color=LIGHT.soft)
    panels = figure.subplots(1, len(judged), squeeze=False, sharey=True).flat
    for axes, one in zip(panels, judged, strict=True):
        _draw_matrix(axes, one, classes)
    figure.axes[0].set_ylabel("true class")
    return figure


def _draw_matrix(axes: Axes, one: Judged, classes: Sequence[str]) -> None:
    counts = one.quality.confusion
    per_cent = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
    axes.imshow(per_cent, cmap=SHADES, vmin=0, vmax=100)
    axes.set_title(f"{one.label}\naccuracy {one.quality.accuracy:.2%}", fontsize=9)
    axes.set_xlabel("predicted class")
    places = range(len(classes))
    small = 8 if len(classes) <= MOST_NUMBERED else 4
    axes.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=small)
    axes.set_yticks(places, classes, fontsize=small)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(classes) > MOST_NUMBERED:
        return
    for (row, column), value in np.ndenumerate(per_cent):
        if counts[row, column]:
            text = f"{value:.0f}" if value >= 1 else "<1"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, weight=weight, color="w" if value > 55 else "k")


@styled
def draw_reliability(judged: Sequence[Judged], *, title: str, subtitle: str) -> Figure:
    """Accuracy over confidence by bin, with the diagonal of perfect calibration; below, the number of images per bin.

    A marker's area grows with the images of its bin, and its bar is the accuracy's 95 % interval. A bin with few images is
    pale, not joined, and labelled with their number.
    """
    figure = new_figure(6.4, 6.2 + 0.17 * len(judged))
    figure.suptitle(title, wrap=True)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 100], [0, 100], color=LIGHT.soft, linestyle=(0, (1, 2)), label="calibrated: accuracy equals confidence")
    for one in judged:
        _draw_bins(upper, one)
    upper.set_ylabel(f"accuracy in the bin, 95 % interval (%)\npale, with their number: under {FEW} images")
    upper.set(xlim=(0, 100), ylim=(-2, 102))
    upper.text(3, 96, "above the diagonal: underconfident", fontsize=8, color=LIGHT.soft, va="top")
    upper.text(97, 4, "below the diagonal: overconfident", fontsize=8, color=LIGHT.soft, ha="right")
    _draw_counts(lower, judged)
    note = f"{subtitle}\nthe larger a marker, the more images are in its bin"
    figure.legend(fontsize=8, loc="outside lower center", title=note, title_fontsize=7.5)
    return figure


def _draw_bins(axes: Axes, one: Judged) -> None:
    confidence, accuracy, counts = np.array(one.quality.reliability).T
    few, x, y = counts < FEW, 100 * confidence, 100 * accuracy
    low, high = (100 * end for end in wilson(accuracy, counts))
    style, colour = one.style, one.style["color"]
    face = style.get("markerfacecolor", colour)
    label = f"{one.label}: ECE {one.quality.ece:.2%}, NLL {one.quality.nll:.3f} nats"
    for chosen, alpha in ((~few, 0.7), (few, PALE)):
        axes.vlines(x[chosen], low[chosen], high[chosen], color=colour, alpha=alpha, linewidth=1.0, zorder=1.9)
    axes.plot(x, np.where(few, np.nan, y), label=label, **style, markevery=[])
    axes.plot(x[few], y[few], alpha=PALE, **style | {"linestyle": "", "markersize": SMALLEST})
    sizes = SMALLEST**2 + (LARGEST**2 - SMALLEST**2) * counts / counts.max()
    axes.scatter(x[~few], y[~few], sizes[~few], marker=style["marker"], facecolor=face, edgecolor=colour, zorder=2.5)
    for place, height, count in zip(x[few], y[few], counts[few], strict=True):
        axes.annotate(f"{count:.0f}", (place, height), (4, 2), textcoords="offset points", fontsize=6.5, color=LIGHT.soft)


def _draw_counts(axes: Axes, judged: Sequence[Judged]) -> None:
    """Draw the number of images in each bin, as one bar for each evaluation."""
    width = 100 / BINS * 0.8 / len(judged)
    for number, one in enumerate(judged):
        confidence, _, counts = np.array(one.quality.reliability).T
        middles = np.searchsorted(np.linspace(0, 1, BINS + 1), confidence) - 0.5
        x = middles * 100 / BINS + (number - (len(judged) - 1) / 2) * width
        look = LOOKS[one.look % len(LOOKS)]
        fill = look["color"] if one.look == 0 else "white"
        axes.bar(x, counts, width, facecolor=fill, edgecolor=look["color"], hatch=HATCHES[one.look % len(HATCHES)])
    axes.set_xlabel("confidence: probability of the predicted class (%)")
    axes.set_ylabel("images in the bin")
    axes.set_axisbelow(True)


@styled
def draw_risk_coverage(judged: Sequence[Judged], *, title: str, subtitle: str) -> Figure:
    """The fraction of errors among the most confident images, over the fraction of these images."""
    figure = new_figure(6.4, 4.3 + 0.17 * len(judged))
    figure.suptitle(title, wrap=True)
    axes = figure.add_subplot()
    for one in judged:
        coverage, risk = one.quality.risk_coverage
        marked = [round(share * (len(coverage) - 1)) for share in np.linspace(0.1, 1, 10)]
        label = f"{one.label}: AURC {one.quality.aurc:.2%}, all images {risk[-1]:.2%}"
        axes.plot(100 * coverage, 100 * risk, label=label, markevery=marked, **one.style)
    axes.set_xlabel("coverage: images answered, the most confident first (%)")
    axes.set_ylabel("risk: errors among those answered (%)")
    axes.set(xlim=(0, 101), ylim=(0, None))
    figure.legend(fontsize=8, loc="outside lower center", title=subtitle, title_fontsize=7.5)
    return figure
