"""A few own pictures, in the size that an encoder was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sslcli.data.folder.contents import Contents, Reasons, contents
from sslcli.data.folder.pictures import BrokenPictureError, Fit, counted, read_rgb, squared
from sslcli.data.folder.walk import Kind
from sslcli.data.image_data import centre
from sslcli.errors import StateError, UsageError

NAMED = 10  # unreadable pictures of a folder that are named at most

Own = tuple[Path, Tensor]
"""The path of a picture, and its pixels as uint8 (3, size, size)."""


def read_images(
    names: Sequence[str], *, size: int, kept: int | None = None, fit: Fit = "crop", say: Callable[[str], None] = lambda _: None
) -> list[Own]:
    """Each picture upright and square, reduced with antialiasing.

    `kept` is the side of the square that is made first, if larger, and `fit` is how; so the encoder sees them like the
    pictures of a data set. A folder means all pictures in it and its sub-folders; skipped ones are named. A StateError for
    a missing file, a UsageError for a file that is not a picture.
    """

    def read(path: Path) -> Tensor:
        return centre(torch.from_numpy(squared(read_rgb(path, side=kept or size), kept or size, fit)), size)

    return [own for name in names for own in _read(name, read, say)]


def _read(name: str, read: Callable[[Path], Tensor], say: Callable[[str], None]) -> list[Own]:
    if not name:
        raise UsageError("'' is not a picture; accepted is a picture, or a folder of pictures")
    path = Path(name)
    if not os.path.exists(path):
        raise StateError(f"{path}: there is no such file")
    if os.path.isdir(path):
        return _in_folder(path, read, say)
    try:
        return [(path, read(path))]
    except (BrokenPictureError, OSError) as error:
        raise UsageError(f"{path} cannot be read as a picture: {error}") from error


def _in_folder(root: Path, read: Callable[[Path], Tensor], say: Callable[[str], None]) -> list[Own]:
    """All readable pictures below a folder; the others are named. A UsageError if none is readable."""
    found = contents(root, called=str(root))
    own, broken = [], []
    for path in found.pictures:
        try:
            own.append((root / path, read(root / path)))
        except (BrokenPictureError, OSError) as error:
            broken.append((path, str(error)))
    words = skipped_in_words(found, broken)
    if not own:
        raise UsageError(f"{root}: no readable picture: {words}")
    if words:
        say(f"{root}: skipped: {words}")
    return own


def skipped_in_words(found: Contents, broken: Reasons) -> str:
    """What is skipped of a folder whose `broken` pictures cannot be read: counts, the first names, remedies; "" if nothing."""
    lost = [*found.lost, *found.of(Kind.CLOSED)]
    others = len(found.others) - len(found.passed_over) - len(lost)
    counts = found.skipped(len(broken), tried=len(found.pictures), others=others)
    unread = [*broken, *((other.path, other.reason) for other in lost)]
    some = "; ".join(f"{path!r}: {reason}" for path, reason in unread[:NAMED]) + "; …" * (len(unread) > NAMED)
    mendable = counted(other.reason for other in found.of(Kind.OTHER))
    return ". ".join(filter(None, (counts, some, *mendable, found.advice())))
