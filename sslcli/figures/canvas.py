"""Figures in general: their size, style, and how to save them."""

from __future__ import annotations

import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from sslcli.errors import UsageError
from sslcli.figures.fonts import make_legible
from sslcli.figures.palette import DARK_OF, LIGHT
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
"""Decorator for drawing functions: our palette and matplotlib's own typeface, without changing matplotlib's settings."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches, with 120 pixels per inch."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def write_heading(figure: Figure, title: str, subtitle: str) -> None:
    """Write a bold title and lines below it at the upper left of a figure that has no layout engine."""
    height = figure.get_figheight()
    figure.suptitle(title, x=0.02, y=1 - 0.12 / height, ha="left", va="top", weight="bold")
    figure.text(0.02, 1 - 0.36 / height, wrapped(subtitle, 108), va="top", fontsize=8.5, color=LIGHT.soft)


def png_path(path: Path | None, default: Path, *, keep: Sequence[Path] = ()) -> Path:
    """`path`, or the default if it is None; a UsageError if it does not end in .png or is one of the files to keep."""
    if path is None:
        return default
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out {path}: pictures are written as PNG; accepted are names that end in .png")
    if path.resolve() in {other.resolve() for other in keep}:
        raise UsageError(f"--out {path} is one of the input pictures; accepted is another name")
    return path


def save_picture(figure: Figure, path: Path, *, description: str) -> None:
    """Write a figure as PNG, whole or not at all; the file's text has its title and the description.

    A StateError if it cannot be written.
    """
    text = {"Title": figure.get_suptitle(), "Description": description, "Software": "ssl"}
    content = png_of(figure, {key: _latin(value) for key, value in text.items()}).getvalue()
    atomic_write(path, lambda handle: handle.write(content))


def save_svgs(figure: Figure, stem: Path, *, description: str) -> list[Path]:
    """Write a figure as STEM_light.svg and STEM_dark.svg, for light and dark pages; returns the paths.

    Letters are outlines, the ground is transparent. The same figure gives the same bytes. Each file is written whole or not at
    all; a StateError if it cannot be written.
    """
    buffer = io.BytesIO()
    make_legible(figure)
    text = {"Title": figure.get_suptitle(), "Description": description, "Creator": "ssl", "Date": None}
    with rc_context({"svg.hashsalt": "ssl", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata=text, transparent=True)
    light = buffer.getvalue()
    dark = re.sub(rb"#[0-9a-f]{6}\b", lambda found: DARK_OF.get(found[0].decode(), found[0].decode()).encode(), light)
    paths = [stem.with_name(f"{stem.name}_{ground}.svg") for ground in ("light", "dark")]
    for path, content in zip(paths, (light, dark), strict=True):
        atomic_write(path, lambda handle, content=content: handle.write(content))  # type: ignore[misc]
    return paths


def png_of(figure: Figure, text: dict[str, str] | None = None) -> io.BytesIO:
    """A figure as PNG, with these text chunks."""
    buffer = io.BytesIO()
    make_legible(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # `make_legible` says it once
        figure.savefig(buffer, format="png", metadata=text or {})
    return buffer


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most `width` letters; letters of double width count twice, and existing line breaks stay."""
    lines = []
    for line in text.splitlines():
        rows = textwrap.wrap("".join(c + _WIDE * (unicodedata.east_asian_width(c) in "WF") for c in line), width)
        lines += [row.replace(_WIDE, "") for row in rows]
    return "\n".join(lines)


_WIDE = "\ue000"  # stands for the second half of a letter of double width; no text contains it


def _latin(text: str) -> str:
    """Text that fits into PNG's text chunks, which are Latin-1; other letters become "?"."""
    return text.encode("latin-1", "replace").decode("latin-1")
