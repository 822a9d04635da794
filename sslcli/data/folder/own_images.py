"""Own pictures, in the size that an encoder was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcli.data.folder.contents import Contents, Reasons, contents
from sslcli.data.folder.picture_stream import SOME, read_in_turn
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
    """All pictures of `images_in_turn`, in memory."""
    return [own for some in images_in_turn(names, size=size, kept=kept, fit=fit, say=say) for own in some]


def images_in_turn(
    names: Sequence[str], *, size: int, kept: int | None = None, fit: Fit = "crop", workers: int = 1,
    say: Callable[[str], None] = lambda _: None, progress: Callable[[float], None] = lambda _: None,
) -> Iterator[list[Own]]:  # fmt: skip
    """Each picture upright and square, reduced with antialiasing; some at a time, so that memory does not grow with all.

    `kept` is the side of the square that is made first, if larger, and `fit` is how; so the encoder sees them like the
    pictures of a data set. A folder means all pictures in it and its sub-folders, decoded by several processes; skipped ones
    are named. A StateError for a missing file, a UsageError for a file that is not a picture.
    """
    side, alone = kept or size, list[Own]()

    def shown(pixels: NDArray[np.uint8]) -> Tensor:
        return centre(torch.from_numpy(pixels), size)

    def in_folder(root: Path) -> Iterator[list[Own]]:
        found, broken, tried = contents(root, called=str(root)), Reasons(), 0
        for some in read_in_turn(root, found.pictures, side=side, fit=fit, workers=workers):
            broken += [(path, read) for path, read in some if isinstance(read, str)]
            tried += len(some)
            progress(tried / len(found.pictures))
            yield [(root / path, shown(read)) for path, read in some if not isinstance(read, str)]
        words = skipped_in_words(found, broken)
        if len(broken) == len(found.pictures):
            raise UsageError(f"{root}: no readable picture: {words}")
        if words:
            say(f"{root}: skipped: {words}")

    for path in [_existing(name) for name in names]:  # all of them before the first is read
        if path.is_dir():
            yield alone
            alone = []
            yield from in_folder(path)
            continue
        try:
            alone.append((path, shown(squared(read_rgb(path, side=side), side, fit))))
        except (BrokenPictureError, OSError) as error:
            raise UsageError(f"{path} cannot be read as a picture: {error}") from error
        if len(alone) == SOME:
            yield alone
            alone = []
    yield alone


def _existing(name: str) -> Path:
    if not name:
        raise UsageError("'' is not a picture; accepted is a picture, or a folder of pictures")
    if not os.path.exists(name):
        raise StateError(f"{Path(name)}: there is no such file")
    return Path(name)


def skipped_in_words(found: Contents, broken: Reasons) -> str:
    """What is skipped of a folder whose `broken` pictures cannot be read: counts, the first names, remedies; "" if nothing."""
    lost = [*found.lost, *found.of(Kind.CLOSED)]
    others = len(found.others) - len(found.passed_over) - len(lost)
    counts = found.skipped(len(broken), tried=len(found.pictures), others=others)
    unread = [*broken, *((other.path, other.reason) for other in lost)]
    some = "; ".join(f"{path!r}: {reason}" for path, reason in unread[:NAMED]) + "; …" * (len(unread) > NAMED)
    mendable = counted(other.reason for other in found.of(Kind.OTHER))
    return ". ".join(filter(None, (counts, some, *mendable, found.advice())))
