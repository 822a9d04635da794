"""Representations as a map, and the nearest images of some queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from sslcli.figures.canvas import new_figure, styled
from sslcli.figures.grids import RIGHT, UNKNOWN, WRONG, Pixels, short_name, show
from sslcli.figures.palette import LIGHT

COLOURS = ("#08519c", "#e6842a", "#1b7837", "#b2182b", "#6a51a3", "#8c510a", "#d6569f", "#525252", "#8a8a00", "#1c9aa8")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
PALE = "#d5d3cd"
"""The colour of images shown for comparison."""
MOST_MAPS, SMALL_MAPS = 10, 5
"""The most classes with a small map each, and the most such maps in a row."""
MARK = 0.012  # half a side of a large marker, relative to the panel
MANY = 20  # classes; with more, the names are smaller
WIDE = 24  # characters of a class's name, at most


@dataclass(frozen=True)
class Panel:
    """An encoder's map: points (N, 2) of images with classes `labels` (N,), and a heading."""

    heading: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


@styled
def draw_map(panels: Sequence[Panel], *, classes: Sequence[str], title: str, subtitle: str) -> Figure:
    """A panel for each encoder, side by side. Classes differ in colour and marker, with names at their median points."""
    figure = new_figure(6.2 * len(panels), 7.8)
    figure.suptitle(title, wrap=True)
    figure.supxlabel(subtitle, fontsize=7.5, color=LIGHT.soft, wrap=True)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True):
        _scatter(axes, panel)
        axes.set_title(panel.heading, fontsize=9)
        axes.set(xticks=[], yticks=[], box_aspect=1)
        axes.spines[:].set(visible=True, color=LIGHT.line)
        _name_classes(axes, panel, classes)
    return figure


@styled
def draw_class_maps(panels: Sequence[Panel], *, classes: Sequence[str], title: str, subtitle: str) -> Figure:
    """For each encoder a small map for each class, with only its images dark, so that grey prints are readable too."""
    across = min(SMALL_MAPS, len(classes))
    down = -(-len(classes) // across)
    figure = new_figure(max(6.4, 1.75 * across), (1.95 * down + 0.75) * len(panels) + 1.2)
    figure.suptitle(title, wrap=True)
    figure.supxlabel(subtitle, fontsize=7.5, color=LIGHT.soft, wrap=True)
    for part, panel in zip(figure.subfigures(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        part.suptitle(panel.heading, fontsize=9)
        maps = part.subplots(down, across, squeeze=False).flat
        for label, axes in enumerate(maps):
            axes.set_axis_off()
            if label < len(classes):
                _draw_class_map(axes, panel, label)
                axes.set_title(short_name(classes[label], most=WIDE), fontsize=9, pad=3)
    return figure


def _draw_class_map(axes: Axes, panel: Panel, label: int) -> None:
    """Draw all images pale, and those of a class dark on top."""
    mine = panel.labels == label
    axes.set(xticks=[], yticks=[], box_aspect=1)
    axes.set_axis_on()
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, color=LIGHT.line)
    axes.margins(0.04)
    for chosen, colour, size, order in ((~mine, PALE, 3, 1), (mine, LIGHT.gain, 6, 2)):
        x, y = panel.points[chosen].T
        axes.scatter(x, y, size, color=colour, linewidths=0, zorder=order)


def _look(label: int) -> tuple[str, str]:
    """Colour and marker of a class; the first ten classes differ in both, the first hundred in at least one."""
    return COLOURS[label % 10], MARKERS[(label + label // 10) % 10]


def _scatter(axes: Axes, panel: Panel) -> None:
    axes.margins(0.06)
    for label in np.unique(panel.labels).tolist():
        x, y = panel.points[panel.labels == label].T
        colour, marker = _look(label)
        axes.scatter(x, y, 15, color=colour, marker=marker, alpha=0.6, linewidths=0)


def _name_classes(axes: Axes, panel: Panel, classes: Sequence[str]) -> None:
    """Draw a large marker at each class's median point, and its name at the nearest free place."""
    present = np.unique(panel.labels).tolist()
    medians = np.array([np.median(panel.points[panel.labels == label], 0) for label in present])
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    size = 9 if len(present) <= MANY else 5
    names = [short_name(classes[label], most=WIDE) for label in present]
    lengths = np.array([len(name) for name in names])
    anchors = (medians - low) / (high - low)
    half = np.stack([lengths * size * 0.0011 + 0.008, np.full(len(present), size * 0.0026)], 1)
    places = free_places(anchors, half)
    halo = [withStroke(linewidth=3, foreground="white")]
    for label, name, median, place in zip(present, names, medians, places, strict=True):
        colour, marker = _look(label)
        axes.scatter(median[0], median[1], 80, color=colour, marker=marker, edgecolors="white", linewidths=1.2, zorder=4)
        axes.annotate(
            name, tuple(median), tuple(place), textcoords="axes fraction", ha="center", va="center", fontsize=size,
            weight="bold", color=colour, path_effects=halo, zorder=5,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip


def free_places(anchors: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres (K, 2) for boxes of half widths and heights (K, 2): each at the free place nearest to just above its anchor.

    All are relative to the panel, in [0, 1]. A place is free if the box covers no earlier box and no anchor's marker, a square
    of half side MARK. If no place is free, the box is just above its anchor.
    """
    steps = np.linspace(-0.5, 0.5, 51)
    offsets = np.stack(np.meshgrid(steps, steps), 2).reshape(-1, 2)
    offsets = offsets[np.hypot(*offsets.T).argsort(kind="stable")]
    taken, sizes = anchors, np.full(anchors.shape, MARK)
    for anchor, own in zip(anchors, half, strict=True):
        centres = np.clip(anchor + np.array([0, MARK + own[1]]) + offsets, own, 1 - own)
        apart = np.abs(centres[:, None] - taken) >= own + sizes - 1e-9
        best = centres[apart.any(2).all(1).argmax()]
        taken, sizes = np.vstack([taken, best]), np.vstack([sizes, own])
    return taken[len(anchors) :]


@dataclass(frozen=True)
class Found:
    """An encoder's nearest images for each query, (H, W, 3) uint8 with the name of their class, nearest first."""

    heading: str
    rows: Sequence[Sequence[tuple[Pixels, str]]]


@styled
def draw_neighbours(
    queries: Sequence[tuple[Pixels, str]], found: Sequence[Found], *, title: str, subtitle: str, judged: bool = True
) -> Figure:
    """A row for each query: the query, then each encoder's nearest images. Another class has a cross and a broken frame.

    Without `judged`, for queries without a class, names are captions and all frames are plain.
    """
    counts = [1, *(len(one.rows[0]) for one in found)]
    figure = new_figure(1.12 * sum(counts) + 0.5, 1.4 * len(queries) + 1.7)
    figure.suptitle(title, wrap=True)
    legend = "✗ and a broken frame: not the query's class\n" if judged else ""
    figure.supxlabel(f"{legend}{subtitle}", fontsize=7.5, color=LIGHT.soft, wrap=True)
    parts = figure.subfigures(1, len(counts), squeeze=False, width_ratios=counts, wspace=0.08)[0]
    _draw_block(parts[0], Found("query\n", [[query] for query in queries]), None)
    for part, one in zip(parts[1:], found, strict=True):
        _draw_block(part, one, [name for _, name in queries] if judged else None)
    return figure


def _draw_block(part: SubFigure, found: Found, wanted: Sequence[str] | None) -> None:
    """Draw rows of images; frames show whether an image has the class wanted in its row, and are plain without one."""
    part.suptitle(found.heading, fontsize=10)
    panels = part.subplots(len(found.rows), len(found.rows[0]), squeeze=False)
    for number, (row, line) in enumerate(zip(found.rows, panels, strict=True)):
        for axes, (image, name) in zip(line, row, strict=True):
            show(axes, image)
            alike = wanted is None or name == wanted[number]
            axes.set_title(name if alike else f"✗ {name}", fontsize=10, pad=3)
            axes.spines[:].set(visible=True, **(UNKNOWN if wanted is None else RIGHT if alike else WRONG))
