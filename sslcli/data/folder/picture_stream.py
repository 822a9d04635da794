"""Read the pictures of a folder a few at a time, so that memory does not grow with their number. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslcli.data.folder.picture_cache import FEW, mapped
from sslcli.data.folder.pictures import BrokenPictureError, Fit, read_rgb, squared

SOME = 64  # pictures at a time

Read = tuple[str, NDArray[np.uint8] | str]
"""The path of a picture, and its pixels (3, side, side), or why it cannot be read."""


def read_in_turn(root: Path, paths: Sequence[str], *, side: int, fit: Fit, workers: int) -> Iterator[list[Read]]:
    """The pictures at `paths` below `root`, in order, some at a time, decoded by several processes."""
    parts = [(str(root), list(paths[begin : begin + SOME]), side, fit) for begin in range(0, len(paths), SOME)]
    yield from mapped(read_some, parts, workers if len(paths) > FEW else 1)


def read_some(task: tuple[str, list[str], int, Fit]) -> list[Read]:
    """Read some pictures: a task has the folder, the paths in it, the side of the squares, and how they become square."""
    root, paths, side, fit = task
    return [(path, _read(Path(root) / path, side, fit)) for path in paths]


def _read(path: Path, side: int, fit: Fit) -> NDArray[np.uint8] | str:
    try:
        return squared(read_rgb(path, side=side), side, fit)
    except (BrokenPictureError, OSError) as error:
        return str(error) or type(error).__name__
