"""Accuracy over time: the measurements of each seed's encoder, the range over seeds, and lines to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.curves import Curve
from sslcli.figures.end_labels import label_ends
from sslcli.figures.palette import LETTERS, LIGHT, SERIES

Accuracies = Mapping[float, float]
"""From epochs of pretraining to the accuracy (a fraction) after them."""
LINES = ((SERIES[1], LETTERS[1]), (LIGHT.soft, LIGHT.soft))
"""The colours of horizontal lines and of their names: first scratch, then all others."""


@dataclass(frozen=True)
class Measured:
    """The accuracies of a pretraining's encoders, one mapping for each seed; `look` is the index in LOOKS."""

    label: str
    seeds: Sequence[Accuracies]
    look: int

    @property
    def shared(self) -> list[float]:
        """The epochs measured for every seed that has more than one."""
        several = [set(one) for one in self.seeds if len(one) > 1]
        return sorted(set.intersection(*several)) if several else []


@styled
def draw_over_time(
    measured: Sequence[Measured],
    *,
    clock: Mapping[float, float],
    lines: Sequence[tuple[float, str]],
    title: str,
    machine: str,
) -> Figure:
    """One panel, epochs below and minutes above. `clock` has the seconds after each epoch, `lines` are (accuracy, label).

    A line joins the points of one seed, or the means of several seeds where all were measured; the band reaches from the lowest
    to the highest seed.
    """
    figure = new_figure(7.6, 4.4)
    figure.suptitle(wrapped(title, 74))
    axes = figure.add_subplot()
    ends = [end for one in measured for end in _draw(axes, one)]
    for (y, label), (colour, letters) in zip(lines, chain(LINES, [LINES[-1]] * len(lines)), strict=False):
        axes.axhline(100 * y, color=colour, linestyle="--", linewidth=1.3)
        ends.append((100 * y, label, letters))
    axes.set_xlim(left=0)
    axes.margins(y=0.08)
    axes.set(xlabel="epochs of pretraining", ylabel="accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_ends(axes, ends)
    _add_minutes(axes, clock, machine)
    return figure


def _draw(axes: Axes, one: Measured) -> list[tuple[float, str, str]]:
    """Draw the line, the band and the single points of a measurement; returns height, text and colour of its label."""
    style = Curve(one.label, [], one.look).style
    several = [seed for seed in one.seeds if len(seed) > 1]
    shared = one.shared if len(several) > 1 and len(one.shared) > 1 else []
    columns = np.array([[100 * seed[epoch] for epoch in shared] for seed in several])
    joined = [dict(zip(shared, columns.mean(0), strict=True))] if shared else [_in_per_cent(seed) for seed in several]
    for points in joined:
        axes.plot(sorted(points), [points[epoch] for epoch in sorted(points)], **style)
    if shared:
        axes.fill_between(shared, columns.min(0), columns.max(0), color=style["color"], alpha=0.18, linewidth=0)
    lone = [(epoch, accuracy) for seed in one.seeds if len(seed) == 1 for epoch, accuracy in _in_per_cent(seed).items()]
    if lone:
        axes.plot(*zip(*lone, strict=True), **style | {"linestyle": "", "alpha": 0.6})
    last = [points[max(points)] for points in joined] or [accuracy for _, accuracy in lone]
    if not last:
        return []
    end = float(np.mean(last))
    of_seeds = _seeds_in_words(len(several) or len(lone), len(one.seeds))
    return [(end, f"{one.label}{of_seeds} {end:.2f} %", LETTERS[one.look % len(LETTERS)])]


def _seeds_in_words(averaged: int, measured: int) -> str:
    """How many seeds the figure at the end of a line is the mean of."""
    if measured < 2:
        return ""
    return f" ({averaged} seeds)" if averaged == measured else f" ({averaged} of {measured} seeds)"


def _in_per_cent(seed: Accuracies) -> dict[float, float]:
    return {epoch: 100 * accuracy for epoch, accuracy in seed.items()}


def _add_minutes(axes: Axes, clock: Mapping[float, float], machine: str) -> None:
    """Add an axis of minutes above the panel; its scale follows the recorded seconds of the epochs."""
    epochs = np.array([0.0, *sorted(clock)])
    minutes = np.array([0.0, *(clock[epoch] / 60 for epoch in sorted(clock))])
    if len(epochs) < 2 or (np.diff(minutes) <= 0).any():
        return
    above = axes.secondary_xaxis("top", functions=(_stretched(epochs, minutes), _stretched(minutes, epochs)))
    above.set_xlabel(wrapped(f"minutes of pretraining ({machine})" if machine else "minutes of pretraining", 70))
    above.xaxis.set_major_locator(MaxNLocator(6))


def _stretched(known: NDArray[np.float64], values: NDArray[np.float64]) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """The function through (known, values), both ascending from 0; outside it continues with the mean slope."""
    slope = values[-1] / known[-1]

    def of(x: ArrayLike) -> NDArray[np.float64]:
        at = np.asarray(x, float)
        found: NDArray[np.float64] = np.interp(at, known, values)
        found = np.where(at > known[-1], values[-1] + (at - known[-1]) * slope, found)
        return np.where(at < 0, at * slope, found)

    return of
