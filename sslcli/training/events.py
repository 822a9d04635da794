"""TensorBoard's event files read back: every point of every scalar, whoever wrote them. Imports no torch."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

Points = list[tuple[float, float]]
"""(step, value), or (epoch, value)."""

OLD_NAMES = {"train_epoch": "train_loss_epoch"}
"""Names that the original study used, and what they are called here."""


def name_of(tag: str) -> str:
    """A tag as lower-case words: train/loss_step and Train_Loss_step are train_loss_step."""
    name = re.sub(r"[^a-z0-9.]+", "_", tag.lower()).strip("_.")[:60] or "unnamed"
    return OLD_NAMES.get(name, name)


@dataclass
class Scalars:
    """What a folder's event files hold: points (step, value) by name, by step; and what is not drawn of it, in words."""

    points: dict[str, Points] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)


def event_folders(root: Path) -> list[Path]:
    """The folders from `root` downwards that hold event files."""
    return sorted({path.parent for path in root.rglob("*tfevents*") if path.is_file()})


def read_scalars(folder: Path) -> Scalars:
    """Read all event files of a folder. Of a damaged file what stands before the damage is read, and the loss named."""
    found, tags, unusable = Scalars(), dict[str, str](), Counter[str]()
    for tag, step, value in (scalar for path in sorted(folder.glob("*tfevents*")) for scalar in _values(path, found.losses)):
        name = name_of(tag)
        if tags.setdefault(name, tag) != tag:
            unusable[f"of {tag}, since {tags[name]} is called {name} too"] += 1
        elif math.isfinite(value):
            found.points.setdefault(name, []).append((step, value))
        else:
            unusable[f"of {tag}, since they are no finite numbers"] += 1
    found.losses += [f"{folder}: {count} points are not drawn {why}" for why, count in unusable.items()]
    for name, points in found.points.items():
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
            found.losses.append(f"{folder}: the steps of {tags[name]} are not in order, or written twice")
            points.sort(key=lambda point: point[0])
    return found


def _values(path: Path, losses: list[str]) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of each scalar of a file, in either form that TensorBoard has for them."""
    from google.protobuf.message import DecodeError
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util.tensor_util import make_ndarray

    if not path.is_file() or not os.access(path, os.R_OK):
        losses.append(f"{path}: not a file that can be read")
        return
    whole, scalars, records = 0, set(), RawEventFileLoader(str(path)).Load()
    while True:
        try:
            record = next(records, None)
            event = Event.FromString(record or b"")
        except (DecodeError, MemoryError, OverflowError):  # the last two: a length that no file has
            break
        if record is None:
            break
        whole += len(record) + 16  # its length, and two checksums
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, event.step, value.simple_value
            if value.metadata.plugin_data.plugin_name == "scalars":
                scalars.add(value.tag)  # said with the first point alone
            if value.HasField("tensor") and value.tag in scalars:
                array = make_ndarray(value.tensor)
                yield value.tag, event.step, float(array.item()) if array.size == 1 else math.nan
    if lost := path.stat().st_size - whole:
        losses.append(f"{path}: cut off or damaged after {whole:,} bytes; what follows, {lost:,} bytes, is not drawn")
