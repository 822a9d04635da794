"""Methods ranked by accuracy, each with its interval beside the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sslcli.figures.canvas import new_figure, styled, wrapped, write_heading
from sslcli.figures.palette import LIGHT

WIDTH, ROW, MARGINS = 8.2, 0.4, 1.75  # inches: width of the figure, height of a row, and margins above and below the rows
LEFT, RIGHT = 0.24, 0.86  # left and right edge of the panel, relative to the width
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
    height = ROW * len(rows) + MARGINS
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    write_heading(figure, title, subtitle)
    axes = figure.add_axes((LEFT, 0.75 / height, RIGHT - LEFT, ROW * len(rows) / height))
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    if scratch is not None:
        axes.axvline(scratch, color=LIGHT.chance, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.text(scratch, -0.62, f"scratch {scratch:.1f}", ha="center", va="bottom", fontsize=8.5, color=LIGHT.chance)
    _set_axes(axes, rows)
    figure.text(0.02, 0.09 / height, LEGEND, fontsize=8.5, color=LIGHT.soft)
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


def _set_axes(axes: Axes, rows: Sequence[MethodRow]) -> None:
    """A few ticks in per cent, and margins that keep every row whole."""
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[])
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="x", colors=LIGHT.soft, length=0, labelsize=8.5)
    axes.set_xlabel("accuracy, %", fontsize=8.5, color=LIGHT.soft)
    axes.grid(axis="x", color=LIGHT.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
