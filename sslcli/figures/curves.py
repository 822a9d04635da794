"""Curves: what was measured over steps, epochs and minutes. Told apart by line and marker, so in grey too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.palette import LIGHT, SERIES

MANY, CROWDED = 200, 60  # points from which on a noisy curve is smoothed, and any has no markers
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
    """A named line through points (x, y); `look` is its place among LOOKS."""

    label: str
    points: Sequence[tuple[float, float]]
    look: int = 0

    @property
    def shown(self) -> str:
        """Its label as the legend shows it, which leaves out what begins with an underscore."""
        return f" {self.label}" if self.label.startswith("_") else self.label

    @property
    def style(self) -> dict[str, Any]:
        """How matplotlib draws it."""
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
    """One panel with all curves, and horizontal lines (y, label). Long noisy curves are smoothed, which the legend says."""
    figure = new_figure(6.4, 3.4 + 0.17 * (len(lines) + len(curves) * (1 + noisy)))
    figure.suptitle(wrapped(title, 66))
    axes = figure.add_subplot()
    for curve in curves:
        (_draw_smoothed if noisy and len(curve.points) >= MANY else _draw)(axes, curve)
    for y, label in lines:
        axes.axhline(y, color=LIGHT.soft, linestyle=(0, (1, 2)), label=label)
    axes.set_xlabel(x_label)
    axes.set_ylabel(wrapped(y_label, 42))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # epochs or steps
    figure.legend(fontsize=8, loc="outside lower center")
    return figure


def _draw(axes: Axes, curve: Curve) -> None:
    x, y = np.array(curve.points).T
    style = curve.style | ({"marker": ""} if len(x) >= CROWDED else {})
    axes.plot(x, y, label=curve.shown, **style)


def _draw_smoothed(axes: Axes, curve: Curve) -> None:
    """The points pale, over them their running mean over a fiftieth of them."""
    x, y = np.array(curve.points).T
    window = max(3, len(x) // 50)
    kernel = np.full(window, 1 / window)
    style = curve.style | {"marker": ""}
    axes.plot(x, y, color=style["color"], linewidth=0.6, alpha=0.3)
    label = f"{curve.shown}\n(mean of {window} points; the points pale)"
    axes.plot(np.convolve(x, kernel, "valid"), np.convolve(y, kernel, "valid"), label=label, **style)


@dataclass(frozen=True)
class Measured:
    """An accuracy (a fraction) of an encoder after `epoch` epochs and `seconds` of pretraining."""

    epoch: float
    seconds: float
    accuracy: float


@styled
def draw_accuracy_over_time(
    linear: Sequence[Measured], knn: Sequence[Measured], *, scratch: float | None, title: str, machine: str
) -> Figure:
    """Accuracy over epochs and over minutes, side by side; `scratch` is the linear accuracy before the first step."""
    figure = new_figure(8.0, 3.8)
    figure.suptitle(title)
    panels = figure.subplots(1, 2, sharey=True)
    units: tuple[tuple[str, Callable[[Measured], float]], ...] = (
        ("epochs of pretraining", lambda m: m.epoch),
        (f"minutes of pretraining ({machine})", lambda m: m.seconds / 60),
    )
    start = [Measured(0, 0, scratch)] if scratch is not None else []
    for axes, (label, x) in zip(panels, units, strict=True):
        for name, measured, look in (
            ("linear evaluation, test images", [*start, *linear], 0),
            ("kNN, training images, labels held out", knn, 2),
        ):
            if measured:
                _draw(axes, Curve(name, [(x(m), 100 * m.accuracy) for m in measured], look))
        if scratch is not None:
            axes.axhline(100 * scratch, color=LOOKS[1]["color"], linestyle="--", label=f"linear, scratch: {scratch:.2%}")
        for m in linear[-1:]:
            axes.annotate(f"{m.accuracy:.2%}", (x(m), 100 * m.accuracy), (-4, 6), textcoords="offset points", ha="right")
        axes.set_xlabel(wrapped(label, 40))
        axes.set_xlim(left=0)
        axes.margins(y=0.1)
    panels[0].set_ylabel("accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=3)
    return figure
