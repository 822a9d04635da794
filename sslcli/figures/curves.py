"""Curves over steps or epochs. They differ in line and marker, so they can be distinguished in grey too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.end_labels import label_ends
from sslcli.figures.palette import LETTERS, LIGHT, SERIES

MANY, CROWDED = 200, 60  # points: from MANY on a noisy curve is smoothed, from CROWDED on a curve has no markers
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": SERIES[0], "linestyle": "-", "marker": "o", "linewidth": 2.0},
    {"color": SERIES[1], "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
    {"color": SERIES[2], "linestyle": ":", "marker": "^"},
    {"color": SERIES[3], "linestyle": "-.", "marker": "D", "markerfacecolor": "white"},
    {"color": SERIES[4], "linestyle": (0, (6, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": SERIES[5], "linestyle": (0, (3, 3)), "marker": "x"},
)


@dataclass(frozen=True)
class Curve:
    """A named line through points (x, y); `look` is its index in LOOKS.

    `end` is a short name at the line's end, shown instead of the label in the legend.
    """

    label: str
    points: Sequence[tuple[float, float]]
    look: int = 0
    end: str = ""

    @property
    def shown(self) -> str:
        """Its label for the legend, which leaves out labels that start with an underscore."""
        if self.end:
            return "_"
        return f" {self.label}" if self.label.startswith("_") else self.label

    @property
    def style(self) -> dict[str, Any]:
        """Its style for matplotlib."""
        return LOOKS[self.look % len(LOOKS)] | {"markersize": 4.5}


@styled
def draw_curves(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    noisy: bool = False,
    lines: Sequence[tuple[float, str]] = (),
) -> Figure:
    """One panel with all curves, and horizontal lines (y, label). Long noisy curves are smoothed, and the legend says so."""
    named = sum(not curve.end for curve in curves) + noisy * len(curves)
    figure = new_figure(6.4, 3.4 + 0.17 * (len(lines) + named))
    figure.suptitle(wrapped(title, 66))
    axes = figure.add_subplot()
    for curve in curves:
        (_draw_smoothed if noisy and len(curve.points) >= MANY else _draw)(axes, curve)
    for y, label in lines:
        axes.axhline(y, color=LIGHT.soft, linestyle=(0, (1, 2)), label=label)
    axes.set_xlabel(x_label)
    axes.set_ylabel(wrapped(y_label, 42))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # epochs or steps
    label_ends(axes, [(_end_of(curve, noisy), curve.end, LETTERS[curve.look % len(LETTERS)]) for curve in curves if curve.end])
    if axes.get_legend_handles_labels()[1]:
        figure.legend(fontsize=8, loc="outside lower center")
    return figure


def _end_of(curve: Curve, noisy: bool) -> float:
    """The y value at the end of a curve; if it is smoothed, that of the running mean."""
    y = [value for _, value in curve.points]
    last = y[-max(3, len(y) // 50) :] if noisy and len(y) >= MANY else y[-1:]
    return sum(last) / len(last)


def _draw(axes: Axes, curve: Curve) -> None:
    x, y = np.array(curve.points).T
    style = curve.style | ({"marker": ""} if len(x) >= CROWDED else {})
    axes.plot(x, y, label=curve.shown, **style)


def _draw_smoothed(axes: Axes, curve: Curve) -> None:
    """The points, pale, below their running mean over a fiftieth of them."""
    x, y = np.array(curve.points).T
    window = max(3, len(x) // 50)
    kernel = np.full(window, 1 / window)
    style = curve.style | {"marker": ""}
    axes.plot(x, y, color=style["color"], linewidth=0.6, alpha=0.3)
    label = f"{curve.end or curve.shown}\n(mean of {window} points; the points pale)"
    axes.plot(np.convolve(x, kernel, "valid"), np.convolve(y, kernel, "valid"), label=label, **style)
