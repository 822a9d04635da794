"""Pairs of images side by side, in sections, each pair with its similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from sslcli.figures.canvas import new_figure, styled
from sslcli.figures.grids import Pixels
from sslcli.figures.palette import LIGHT

COLUMNS = 4
WIDTH, HEIGHT, HEADING = 2.3, 1.75, 0.35  # inches: width and height of a pair with captions, height of a section's heading


@dataclass(frozen=True)
class ShownPair:
    """Two images (H, W, 3) uint8 of equal size, a caption for each, and a line below both."""

    first: Pixels
    second: Pixels
    first_caption: str
    second_caption: str
    below: str

    @property
    def pixels(self) -> Pixels:
        """Both side by side, with a white gap."""
        gap = np.full((len(self.first), max(1, len(self.first) // 16), 3), 255, np.uint8)
        return np.concatenate([self.first, gap, self.second], axis=1)


@styled
def draw_pairs(sections: Sequence[tuple[str, Sequence[ShownPair]]], *, title: str, subtitle: str) -> Figure:
    """For each section a heading and its pairs, four per row."""
    rows = [-(-len(pairs) // COLUMNS) for _, pairs in sections]
    heights = [HEIGHT * count + HEADING for count in rows]
    figure = new_figure(COLUMNS * WIDTH, sum(heights) + 0.9)
    figure.suptitle(title)
    figure.supxlabel(subtitle, fontsize=8, color=LIGHT.soft, wrap=True)
    parts = figure.subfigures(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, count, (heading, pairs) in zip(parts, rows, sections, strict=True):
        part.suptitle(heading, fontsize=10, fontweight="bold")
        panels = part.subplots(count, COLUMNS, squeeze=False).flat
        for axes, pair in zip(panels, [*pairs, *[None] * COLUMNS], strict=False):
            if pair is None:
                axes.set_axis_off()
                continue
            axes.imshow(pair.pixels, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            axes.set_xlabel(pair.below, fontsize=8, labelpad=3)
            for x, caption in ((0.24, pair.first_caption), (0.76, pair.second_caption)):
                axes.text(x, 1.03, caption, transform=axes.transAxes, ha="center", va="bottom", fontsize=8)
    return figure
