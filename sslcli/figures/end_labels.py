"""Names at the ends of lines, beside the panel: easier to read than a legend."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

GAP = 13.0  # points from line to line of text


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write texts to the right of a panel, each (y, text, colour) at height y, moved apart where they would overlap.

    The limits of the panel must be final.
    """
    low, high = axes.get_ylim()
    figure = axes.figure.figure  # the whole figure, for a panel of a subfigure too; matplotlib before 3.10 has no other way
    step = GAP / (72 * 0.6 * figure.get_size_inches()[1])  # a panel has at least 0.6 of its figure's height
    order = sorted(range(len(ends)), key=lambda place: ends[place][0])
    heights = spread([(ends[place][0] - low) / (high - low) for place in order], step)
    for place, height in zip(order, heights, strict=True):
        _, text, colour = ends[place]
        axes.text(1.015, height, text, transform=axes.transAxes, color=colour, fontsize=8.5, va="center", ha="left")


def spread(heights: Sequence[float], step: float) -> list[float]:
    """Ascending heights in [0, 1], moved slightly so that neighbours are at least `step` apart."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + step) if moved else height)
    over = max(0.0, (moved[-1] if moved else 0.0) - 1.0)
    ceiling = 1.0
    for place in reversed(range(len(moved))):
        moved[place] = min(moved[place], ceiling) if over else moved[place]
        ceiling = moved[place] - step
    return moved
