"""A panel with a row for each thing that is compared, below a heading: what the pictures of this kind share."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sslcli.figures.canvas import new_figure, write_heading
from sslcli.figures.palette import LIGHT

WIDTH = 8.2  # inches


@dataclass(frozen=True, kw_only=True)
class Layout:
    """In inches the height of a row, the margins above and below all rows together, and the lower one of them.

    `left` and `right` are the edges of the panel, relative to the width.
    """

    row: float
    margins: float
    below: float
    left: float
    right: float


def row_panel(count: int, layout: Layout, *, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure with a heading, and axes with a place for each of `count` rows, the first on top; lines mark the ticks of x."""
    rows = layout.row * count
    height = rows + layout.margins
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    write_heading(figure, title, subtitle)
    axes = figure.add_axes((layout.left, layout.below / height, layout.right - layout.left, rows / height))
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.tick_params(axis="x", colors=LIGHT.soft, length=0, labelsize=8.5)
    axes.grid(axis="x", color=LIGHT.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return figure, axes


def write_legend(figure: Figure, words: str, *, above: float) -> None:
    """Write a line at the lower left, so many inches above the edge."""
    figure.text(0.02, above / figure.get_figheight(), words, fontsize=8.5, color=LIGHT.soft)
