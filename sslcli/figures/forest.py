"""Differences with their intervals as a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sslcli.figures.canvas import MINUS, styled, wrapped
from sslcli.figures.palette import LIGHT
from sslcli.figures.row_panel import Layout, row_panel, write_legend

LAYOUT = Layout(row=0.44, margins=1.45, below=0.6, left=0.31, right=0.73)
WIDE = 30  # letters in a line of a label
MARKERS = {"gain": "o", "loss": "D", "chance": "o"}
HEADING = "Pretrained minus scratch: accuracy in points, 95 % interval"
LEGEND = "○ the interval contains 0: no difference that can be told from chance"


@dataclass(frozen=True)
class Bar:
    """A difference and the ends of its interval, in points; its `kind` is gain, loss or chance."""

    label: str
    value: float
    low: float
    high: float
    kind: str


@styled
def draw_forest(bars: Sequence[Bar], *, subtitle: str) -> Figure:
    """A row for each difference, the first on top: label, interval, and both as numbers."""
    figure, axes = row_panel(len(bars), LAYOUT, title=HEADING, subtitle=subtitle)
    for row, bar in enumerate(bars):
        _draw_bar(axes, row, bar)
    _set_axes(axes, bars)
    if any(bar.kind == "chance" for bar in bars):
        write_legend(figure, LEGEND, above=0.07)
    return figure


def _draw_bar(axes: Axes, row: int, bar: Bar) -> None:
    colours = {"gain": LIGHT.gain, "loss": LIGHT.loss, "chance": LIGHT.chance}
    colour = colours[bar.kind]
    hollow = LIGHT.card if bar.kind == "chance" else colour
    axes.errorbar(
        bar.value, row, xerr=[[bar.value - bar.low], [bar.high - bar.value]], color=colour, fmt=MARKERS[bar.kind],
        markersize=7, markerfacecolor=hollow, markeredgewidth=1.6, elinewidth=2, capsize=4, capthick=1.6, zorder=3,
    )  # fmt: skip
    side = axes.get_yaxis_transform()
    axes.text(-0.69, row, wrapped(bar.label, WIDE), transform=side, va="center", fontsize=9.5, linespacing=1.1,
              color=LIGHT.ink)  # fmt: skip
    interval = f"{bar.low:+.1f} to {bar.high:+.1f}".replace("-", MINUS)
    axes.text(1.19, row, f"{bar.value:+.1f}".replace("-", MINUS), transform=side, ha="right", va="center",
              fontsize=10.5, weight="bold", color=colour)  # fmt: skip
    axes.text(1.59, row, interval, transform=side, ha="right", va="center", fontsize=9, color=LIGHT.soft)


def _set_axes(axes: Axes, bars: Sequence[Bar]) -> None:
    """Draw zero as a line from top to bottom and a few ticks in points, with margins beside the longest interval."""
    low, high = min(0.0, *(bar.low for bar in bars)), max(0.0, *(bar.high for bar in bars))
    margin = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - margin, high + margin)
    axes.axvline(0, color=LIGHT.ink, linewidth=1.2, zorder=2)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:+g}".replace("-", MINUS) if tick else "0"))
