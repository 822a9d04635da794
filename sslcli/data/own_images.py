"""A person's own pictures, a few of them, brought to the size that an encoder was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sslcli.data.image_data import centre
from sslcli.data.pictures import SUFFIXES, BrokenPictureError, Fit, read_rgb, squared
from sslcli.errors import StateError, UsageError


def read_images(names: Sequence[str], *, size: int, kept: int | None = None, fit: Fit = "crop") -> list[tuple[Path, Tensor]]:
    """Each picture as uint8 (3, size, size): as the eye sees it, upright, its central square, made smaller with antialiasing.

    `kept` is the side of the square that they are brought to before, where that is larger, and `fit` how they become it, so
    that they are seen as the pictures of a data set were. A folder stands for the pictures in it. A StateError for what is
    not there, a UsageError for what is no picture.
    """
    return [(path, centre(_read(path, kept or size, fit), size)) for name in names for path in _listed(name)]


def _listed(name: str) -> list[Path]:
    if not name:
        raise UsageError("'' is no picture; accepted is the name of a picture, or of a folder of pictures")
    path = Path(name)
    if not path.exists():
        raise StateError(f"{path}: there is no such file")
    if not path.is_dir():
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
    if not found:
        raise StateError(f"{path}: no picture in this folder; looked for: {', '.join(SUFFIXES)}")
    return found


def _read(path: Path, side: int, fit: Fit) -> Tensor:
    try:
        return torch.from_numpy(squared(read_rgb(path, side=side), side, fit))
    except (BrokenPictureError, OSError) as error:
        raise UsageError(f"{path} is no picture that can be read: {error}") from error
