"""What every picture shares: its type and size, and how it reaches the disk."""

from __future__ import annotations

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from sslcli.errors import UsageError
from sslcli.figures.fonts import make_legible
from sslcli.figures.palette import LIGHT
from sslcli.files import atomic_write

DPI = 120
MINUS = "\u2212"
"""The minus sign, as long as the plus sign."""
styled = rc_context({
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "figure.titlesize": 11,
    "axes.grid": True, "grid.color": LIGHT.line, "axes.edgecolor": LIGHT.soft, "axes.labelcolor": LIGHT.ink,
    "text.color": LIGHT.ink, "xtick.color": LIGHT.soft, "ytick.color": LIGHT.soft,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "text.parse_math": False,
})  # fmt: skip
"""Decorator of what draws: the palette, the typeface that matplotlib brings along, and no change to matplotlib's own."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches, of 120 pixels each."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def png_path(path: Path | None, default: Path, *, keep: Sequence[Path] = ()) -> Path:
    """The path that a person named for a picture, or the default; a UsageError if it is no .png, or one of those to keep."""
    if path is None:
        return default
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out {path}: a picture is written as PNG; accepted are names that end in .png")
    if path.resolve() in {other.resolve() for other in keep}:
        raise UsageError(f"--out {path} is a picture that was given; name another")
    return path


def save_picture(figure: Figure, path: Path, *, description: str) -> None:
    """Write a figure as PNG, whole or not at all; its title and the description stand in the file's text too.

    A StateError if it cannot be written.
    """
    text = {"Title": figure.get_suptitle(), "Description": description, "Software": "ssl"}
    content = png_of(figure, {key: _latin(value) for key, value in text.items()}).getvalue()
    atomic_write(path, lambda handle: handle.write(content))


def save_svg(figure: Figure, path: Path, *, description: str) -> None:
    """Write a figure as SVG, its letters as outlines, whole or not at all: the same bytes of the same figure.

    A StateError if it cannot be written.
    """
    buffer = io.BytesIO()
    make_legible(figure)
    text = {"Title": figure.get_suptitle(), "Description": description, "Creator": "ssl", "Date": None}
    with rc_context({"svg.hashsalt": "ssl", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata=text)
    atomic_write(path, lambda handle: handle.write(buffer.getvalue()))


def png_of(figure: Figure, text: dict[str, str] | None = None) -> io.BytesIO:
    """A figure as PNG, with what its text chunks say."""
    buffer = io.BytesIO()
    make_legible(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # said already, once
        figure.savefig(buffer, format="png", metadata=text or {})
    return buffer


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most `width` letters, those of double width counted twice; lines that it has are kept."""
    lines = []
    for line in text.splitlines():
        rows = textwrap.wrap("".join(c + _WIDE * (unicodedata.east_asian_width(c) in "WF") for c in line), width)
        lines += [row.replace(_WIDE, "") for row in rows]
    return "\n".join(lines)


_WIDE = "\ue000"  # the second half of a letter of double width: a character that no text has


def _latin(text: str) -> str:
    """PNG's text chunks are Latin-1."""
    return text.encode("latin-1", "replace").decode("latin-1")
