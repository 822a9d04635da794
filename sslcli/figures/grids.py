"""Grids of images: predictions, and augmented views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.palette import LIGHT

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
TILE = 1.35  # inches per tile
LINE = 0.15  # inches per line below a tile
VIEW = 0.98  # inches per view
RIGHT = {"color": LIGHT.gain, "linewidth": 1.5, "linestyle": "-"}
WRONG = {"color": LIGHT.loss, "linewidth": 3.0, "linestyle": (0, (2, 1.2)), "capstyle": "butt"}
UNKNOWN = {"color": LIGHT.chance, "linewidth": 1.0, "linestyle": "-"}


@dataclass(frozen=True)
class Tile:
    """An image (H, W, 3) uint8 with the predicted class, its confidence in [0, 1], and the true class or a name."""

    image: Pixels
    predicted: str
    confidence: float
    truth: str | None = None
    name: str = ""

    @property
    def caption(self) -> str:
        """The text below the image: whether the prediction is right, the predicted class and its confidence."""
        mark = "" if self.truth is None else "✓ " if self.predicted == self.truth else "✗ "
        return f"{mark}{self.predicted} {self.confidence:.0%}"


@styled
def draw_predictions(tiles: Sequence[Tile], *, title: str, subtitle: str) -> Figure:
    """A nearly square grid. Right and wrong differ in mark and frame, not only in colour."""
    columns = max(2, math.ceil(math.sqrt(len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure(max(5.2, columns * TILE), rows * (TILE + 0.3) + 0.9)
    figure.set_layout_engine("constrained", h_pad=0.06)
    figure.suptitle(title, wrap=True)
    figure.supxlabel(subtitle, fontsize=7.5, color=LIGHT.soft, wrap=True)
    for axes, tile in zip(figure.subplots(rows, columns, squeeze=False).flat, [*tiles, *[None] * columns], strict=False):
        if tile is None:
            axes.set_axis_off()
            continue
        show(axes, tile.image)
        axes.set_title(tile.truth or tile.name, fontsize=8, pad=3)
        axes.set_xlabel(tile.caption, fontsize=8, labelpad=3)
        frame = UNKNOWN if tile.truth is None else RIGHT if tile.predicted == tile.truth else WRONG
        axes.spines[:].set(visible=True, **frame)
    return figure


@styled
def draw_predictions_beside(tiles: Sequence[Sequence[Tile]], *, names: Sequence[str], title: str, subtitle: str) -> Figure:
    """A grid of images, each with its true class above and the predictions of several classifiers below.

    `tiles` holds for each image one tile for each of `names`, which are written to the left of their lines.
    """
    columns = max(2, math.ceil(math.sqrt(len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    lines = LINE * len(names)
    figure = new_figure(columns * TILE + 1.2, rows * (TILE + 0.28 + lines) + 1.2)
    figure.set_layout_engine("constrained", h_pad=0.09)
    figure.suptitle(title)
    figure.supxlabel(subtitle, fontsize=7.5, color=LIGHT.soft, wrap=True)
    places = figure.subplots(rows, columns, squeeze=False).flat
    for number, (axes, of_image) in enumerate(zip(places, [*tiles, *[None] * columns], strict=False)):
        if of_image is None:
            axes.set_axis_off()
            continue
        show(axes, of_image[0].image)
        axes.set_title(of_image[0].truth or of_image[0].name, fontsize=9, pad=3)
        axes.spines[:].set(visible=True, **UNKNOWN)
        for line, (tile, name) in enumerate(zip(of_image, names, strict=True)):
            y = -0.04 - line * LINE / (TILE - 0.1)
            colour = (RIGHT if tile.predicted == tile.truth else WRONG)["color"]
            axes.text(0.5, y, tile.caption, transform=axes.transAxes, ha="center", va="top", fontsize=8, color=colour)
            if number % columns == 0:
                axes.text(-0.12, y, name, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=LIGHT.soft)
    return figure


@styled
def draw_views(rows: Sequence[Sequence[Pixels]], *, groups: Sequence[tuple[str, int]], title: str, subtitle: str) -> Figure:
    """A row for each image: the image itself, then its views, pixel by pixel as the encoder gets them.

    `groups` are (heading, number of columns), left to right; a bracket above the columns shows the heading.
    """
    columns = sum(count for _, count in groups)
    width, notes = max(5.4, columns * VIEW + 0.3), wrapped(subtitle, 15 * max(6, columns))
    below, above = 0.2 + 0.14 * len(notes.splitlines()), 0.95
    height = len(rows) * VIEW + below + above
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    figure.suptitle(title, y=1 - 0.1 / height, va="top")
    figure.text(0.5, 0.08 / height, notes, ha="center", va="bottom", fontsize=7.5, color=LIGHT.soft)
    side = (width - columns * VIEW) / 2 / width
    room = {
        "left": side,
        "right": 1 - side,
        "bottom": below / height,
        "top": 1 - above / height,
        "wspace": 0.06,
        "hspace": 0.06,
    }
    panels = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw=room)
    for line, places in zip(rows, panels, strict=True):
        for axes, image in zip(places, line, strict=True):
            show(axes, image)
            axes.spines[:].set_visible(False)
    first = 0
    for heading, count in groups:
        _bracket(figure, panels[0, first], panels[0, first + count - 1], heading, 0.07 / height)
        first += count
    return figure


def _bracket(figure: Figure, first: Axes, last: Axes, heading: str, step: float) -> None:
    """Draw a bracket from one panel to another, with its heading above; `step` is its height, relative to the figure."""
    left, right, top = first.get_position().x0, last.get_position().x1, first.get_position().y1 + step
    corners = [left, left, right, right], [top, top + step, top + step, top]
    figure.add_artist(Line2D(*corners, color=LIGHT.soft, linewidth=1.0, transform=figure.transFigure))
    figure.text((left + right) / 2, top + 1.5 * step, heading, ha="center", va="bottom", fontsize=8.5, linespacing=1.1)


def pixels_of(image: Tensor) -> Pixels:
    """An image (3, H, W) uint8 as (H, W, 3) for matplotlib."""
    pixels: Pixels = image.permute(1, 2, 0).cpu().numpy()
    return pixels


def short_name(name: str, *, most: int = 20) -> str:
    """A name in at most `most` printable characters; a long one keeps its beginning and its end."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    half = (most - 1) // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"


def two_lines(name: str, *, wide: int) -> str:
    """A name in two lines of at most `wide` printable characters; the second may be empty."""
    short = short_name(name, most=2 * wide)
    return f"{short[:wide]}\n{short[wide:]}"


def show(axes: Axes, image: Pixels) -> None:
    """Draw an image pixel by pixel, without ticks."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
