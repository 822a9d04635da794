"""A contact sheet: many pictures at once, each with a line above and below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from sslcli.figures.canvas import new_figure, styled, wrapped
from sslcli.figures.grids import TILE, Pixels, show
from sslcli.figures.palette import LIGHT

LINE, MARGIN, TITLE = 0.17, 0.12, 0.36  # inches: a line of text, the room around the sheet, the room of its title


@dataclass(frozen=True)
class Frame:
    """An image (H, W, 3) uint8, and the texts above and below it, of one or more lines."""

    image: Pixels
    above: str
    below: str


@styled
def draw_sheet(frames: Sequence[Frame], *, title: str, subtitle: str, columns: int | None = None) -> Figure:
    """The frames by row, in a nearly square grid or with so many columns."""
    columns = columns or min(len(frames), max(5, math.ceil(math.sqrt(len(frames)))))
    rows = math.ceil(len(frames) / columns)
    lines = [max(getattr(frame, side).count("\n") + 1 for frame in frames) for side in ("above", "below")]
    gap = LINE * sum(lines) + 0.06
    width = max(6.0, columns * TILE + 2 * MARGIN)
    notes = wrapped(subtitle, round(15 * width))
    foot = MARGIN + LINE * (len(notes.splitlines()) + lines[1])
    head = TITLE + LINE * lines[0]
    height = head + foot + rows * TILE + (rows - 1) * gap
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    figure.suptitle(title, y=1 - 0.08 / height, va="top")
    figure.text(0.5, 0.06 / height, notes, ha="center", va="bottom", fontsize=7.5, color=LIGHT.soft)
    room = {
        "left": MARGIN / width, "right": 1 - MARGIN / width, "bottom": foot / height, "top": 1 - head / height,
        "wspace": 0.08, "hspace": gap / TILE,
    }  # fmt: skip
    for axes, frame in zip(
        figure.subplots(rows, columns, squeeze=False, gridspec_kw=room).flat, [*frames, *[None] * columns], strict=False
    ):
        if frame is None:
            axes.set_axis_off()
            continue
        show(axes, frame.image)
        axes.spines[:].set_visible(False)
        axes.set_title(frame.above, fontsize=7.5, pad=2)
        axes.set_xlabel(frame.below, fontsize=7.5, labelpad=2)
    return figure
