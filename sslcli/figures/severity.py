"""Accuracy against the severity of corruptions, with the interval of each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.curves import Curve
from sslcli.figures.end_labels import label_ends
from sslcli.figures.palette import LETTERS


@dataclass(frozen=True)
class Falling:
    """A classifier's accuracies (value, low, high; fractions), first when clean, then at severity 1, 2, …"""

    label: str
    points: Sequence[tuple[float, float, float]]


@styled
def draw_severity(lines: Sequence[Falling], *, title: str, subtitle: str) -> Figure:
    """One panel; severity 0 is the clean images."""
    figure = new_figure(7.6, 4.4)
    figure.suptitle(wrapped(title, 74))
    axes = figure.add_subplot()
    axes.set_title(wrapped(subtitle, 96), fontsize=8.5)
    ends = []
    for look, line in enumerate(lines):
        value, low, high = (100 * np.array(column) for column in zip(*line.points, strict=True))
        at = np.arange(len(value)) + 0.04 * (look - (len(lines) - 1) / 2)  # so that intervals stand beside each other
        axes.errorbar(at, value, yerr=[value - low, high - value], capsize=3, elinewidth=1.2, **Curve("", [], look).style)
        ends.append((float(value[-1]), line.label, LETTERS[look % len(LETTERS)]))
    axes.set(xlabel="severity (0: clean)", ylabel="accuracy (%)", xticks=range(len(lines[0].points)))
    axes.margins(y=0.08)
    label_ends(axes, ends)
    return figure
