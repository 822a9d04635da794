"""Methods ranked by accuracy, each with its interval beside the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslcli.figures.canvas import styled, wrapped
from sslcli.figures.palette import LIGHT
from sslcli.figures.row_panel import Layout, row_panel, write_legend

LAYOUT = Layout(row=0.4, margins=1.75, below=0.75, left=0.24, right=0.86)
WIDE = 22  # letters in a line of a label
LEGEND = "Small dots: seeds. Bars: 95 % interval of the difference from the best. Hollow: cannot be told from the best."


@dataclass(frozen=True)
class MethodRow:
    """A method's accuracy in per cent: the mean, each seed's, and the ends of its interval beside the best one's mean.

    `low` and `high` are None for the best itself, and without a common seed.
    """

    label: str
    mean: float
    seeds: Sequence[float]
    low: float | None
    high: float | None
    is_worse: bool


@styled
def draw_methods(rows: Sequence[MethodRow], *, title: str, subtitle: str, scratch: float | None = None) -> Figure:
    """A row for each method, the best on top; `scratch` is a line."""
    figure, axes = row_panel(len(rows), LAYOUT, title=title, subtitle=subtitle)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    if scratch is not None:
        axes.axvline(scratch, color=LIGHT.chance, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.text(scratch, -0.62, f"scratch {scratch:.1f}", ha="center", va="bottom", fontsize=8.5, color=LIGHT.chance)
    _set_axes(axes)
    write_legend(figure, LEGEND, above=0.09)
    return figure


def _draw_row(axes: Axes, place: int, row: MethodRow) -> None:
    colour = LIGHT.loss if row.is_worse else LIGHT.gain
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
    if len(row.seeds) > 1:
        axes.plot(row.seeds, [place] * len(row.seeds), ".", color=colour, markersize=4, zorder=4)
    inside = LIGHT.card if row.low is not None and not row.is_worse else colour
    axes.plot(row.mean, place, "o", color=colour, markersize=7, markerfacecolor=inside, markeredgewidth=1.6, zorder=3)
    side = axes.get_yaxis_transform()
    axes.text(-0.03, place, wrapped(row.label, WIDE), transform=side, ha="right", va="center", fontsize=9.5, color=LIGHT.ink)
    axes.text(
        1.2, place, f"{row.mean:.1f}", transform=side, ha="right", va="center", fontsize=10.5, weight="bold", color=colour
    )


def _set_axes(axes: Axes) -> None:
    """A few ticks in per cent, and margins that keep every row whole."""
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("accuracy, %", fontsize=8.5, color=LIGHT.soft)
