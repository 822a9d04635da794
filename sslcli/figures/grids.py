"""Grids of images: predictions, and augmented views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sslcli.figures.canvas import new_figure, styled
from sslcli.figures.palette import LIGHT

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
TILE = 1.35  # inches a tile
RIGHT = {"color": LIGHT.gain, "linewidth": 1.5, "linestyle": "-"}
WRONG = {"color": LIGHT.loss, "linewidth": 3.0, "linestyle": (0, (2, 1.2)), "capstyle": "butt"}
UNKNOWN = {"color": LIGHT.chance, "linewidth": 1.0, "linestyle": "-"}


@dataclass(frozen=True)
class Tile:
    """An image (H, W, 3) uint8 with the predicted class, its confidence in [0, 1], and the true class, or else a name."""

    image: Pixels
    predicted: str
    confidence: float
    truth: str | None = None
    name: str = ""

    @property
    def caption(self) -> str:
        """Below the image: whether it is right, and what was said with what confidence."""
        mark = "" if self.truth is None else "✓ " if self.predicted == self.truth else "✗ "
        return f"{mark}{self.predicted} {self.confidence:.0%}"


@styled
def draw_predictions(tiles: Sequence[Tile], *, title: str, subtitle: str) -> Figure:
    """A grid, as square as can be. Right and wrong differ in mark and frame, not in colour alone."""
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
def draw_views(rows: Sequence[Sequence[Pixels]], *, headings: Sequence[str], title: str, subtitle: str) -> Figure:
    """A row for each image: the image itself, then its views, each pixel as the encoder gets it."""
    figure = new_figure(max(5.0, len(headings) * 0.95), len(rows) * 0.98 + 0.9)
    figure.suptitle(title, wrap=True)
    figure.supxlabel(subtitle, fontsize=7.5, color=LIGHT.soft, wrap=True)
    for line, panels in zip(rows, figure.subplots(len(rows), len(headings), squeeze=False), strict=True):
        for axes, image in zip(panels, line, strict=True):
            show(axes, image)
            axes.spines[:].set_visible(False)
    for axes, heading in zip(figure.axes, headings, strict=False):
        axes.set_title(heading, fontsize=8, pad=3)
    return figure


def pixels_of(image: Tensor) -> Pixels:
    """An image (3, H, W) uint8 as matplotlib wants it."""
    pixels: Pixels = image.permute(1, 2, 0).cpu().numpy()
    return pixels


def short_name(name: str, *, most: int = 20) -> str:
    """A name in at most so many characters that can be drawn: its beginning and its end."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    half = (most - 1) // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"


def two_lines(name: str, *, wide: int) -> str:
    """A name in two lines of at most `wide` characters that can be drawn, the second perhaps empty."""
    short = short_name(name, most=2 * wide)
    return f"{short[:wide]}\n{short[wide:]}"


def show(axes: Axes, image: Pixels) -> None:
    """Draw an image pixel by pixel, without ticks."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
