"""The figures that a command saves, kept for a look at what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sslcli.figures.canvas import save_picture


def keep_figures(
    monkeypatch: pytest.MonkeyPatch, *modules: str, write: Callable[..., None] = save_picture
) -> dict[str, Figure]:
    """The figures that these modules save from now on, by their paths' last two parts; `write` gets each, as they gave it."""
    kept: dict[str, Figure] = {}

    def save(figure: Figure, path: Path, *, description: str) -> None:
        write(figure, path, description=description)
        kept["/".join(path.parts[-2:])] = figure

    for module in modules:
        monkeypatch.setattr(f"sslcli.{module}.save_picture", save)
    return kept


def write_nothing(*_: object, **__: object) -> None:
    """Write no file: for tests of what is in the figures."""
