"""Read TensorBoard's event files, from any program: every point that TensorBoard itself shows. Imports no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from sslcli.training.tags import names_of

Points = list[tuple[float, float]]
"""(step, value), or (epoch, value)."""


@dataclass
class Scalars:
    """The event files of a folder: finite points (step, value) by tag, sorted by step; and what is not drawn, in words."""

    series: dict[str, Points] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    @property
    def points(self) -> dict[str, Points]:
        """The points by the names that `names_of` gives for only this folder."""
        return {name: self.series[tag] for tag, name in names_of([self.series]).items()}


def event_folders(root: Path) -> list[Path]:
    """The folders with event files, from `root` downwards."""
    return sorted({path.parent for path in root.rglob("*tfevents*") if path.is_file()})


def read_scalars(folder: Path) -> Scalars:
    """Read all event files of a folder. A damaged file is read up to the damage, and the loss is named."""
    found, reader = Scalars(), _Reader()
    paths = [path for path in sorted(folder.glob("*tfevents*")) if _is_readable(path, found.losses)]
    for number, path in enumerate(_in_order(paths)):
        for event in _events(path, found.losses):
            reader.take(event, number)
    series = {tag: reader.kept(tag) for tag in reader.series}
    if reader.taken_back:
        found.losses.append(f"{folder}: not drawn are {reader.taken_back} points that a restart from an earlier step took back")
    for tag, points in series.items():
        finite: Points = [(step, value) for step, value in points if math.isfinite(value)]
        if count := len(points) - len(finite):
            found.losses.append(f"{folder}: {count} points are not drawn of {tag}, since they are no finite numbers")
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(finite)):
            found.losses.append(f"{folder}: the steps of {tag} are not in order, or written twice")
            finite.sort(key=lambda point: point[0])
        if finite:
            found.series[tag] = finite
    return found


class _Reader:
    """Takes a run's events in the order in which they were written, and drops points that a restart replaced.

    The rules are those of TensorBoard's EventAccumulator. Since version 2 of event files, the start of a session drops the
    points of all tags from its step on; before that, a step that goes back drops the points of its event's tags.
    """

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[int, float, int]]] = {}  # (step, value, number of the file) by tag
        self.taken_back = 0
        self._scalars: set[str] = set()
        self._version = 0.0
        self._newest_step = -1

    def take(self, event: Any, file: int) -> None:
        """Add an event from the file with this number."""
        if event.HasField("file_version"):
            self._version = _version(event.file_version)
        if self._version >= 2:
            if event.HasField("session_log") and event.session_log.status == event.session_log.START:
                self._take_back(self.series, event.step)
        elif event.step < self._newest_step and event.HasField("summary"):
            self._take_back([value.tag for value in event.summary.value], event.step)
        else:
            self._newest_step = event.step
        for tag, value in self._values(event):
            self.series.setdefault(tag, []).append((event.step, value, file))

    def kept(self, tag: str) -> list[tuple[int, float]]:
        """The points of a tag. If a later file repeats steps, its points count, even if the restart is not marked."""
        kept: list[tuple[int, float]] = []
        bound, lowest, newest = math.inf, math.inf, math.inf
        for step, value, file in reversed(self.series[tag]):
            if file < newest:
                newest, bound = file, lowest
            if step < bound:
                kept.append((step, value))
                lowest = min(lowest, step)
        self.taken_back += len(self.series[tag]) - len(kept)
        return kept[::-1]

    def _take_back(self, tags: Iterable[str], step: int) -> None:
        for tag in self.series.keys() & tags:
            before = self.series[tag]
            self.series[tag] = [point for point in before if point[0] < step]
            self.taken_back += len(before) - len(self.series[tag])

    def _values(self, event: Any) -> Iterator[tuple[str, float]]:
        """Tag and value of each scalar of an event, in both of TensorBoard's forms."""
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, value.simple_value
            if value.metadata.plugin_data.plugin_name == "scalars":
                self._scalars.add(value.tag)  # stated only with the first point
            if value.HasField("tensor") and value.tag in self._scalars:
                yield value.tag, _number(value.tensor)


def _version(text: str) -> float:
    """The number in "brain.Event:2"; -1 if there is none, as in TensorBoard."""
    try:
        return float(text.rpartition("brain.Event:")[2])
    except ValueError:
        return -1


def _number(tensor: Any) -> float:
    """The number in a tensor; NaN if it is not a single number."""
    from tensorboard.util.tensor_util import make_ndarray

    try:
        array = make_ndarray(tensor)
        return float(array.item()) if array.size == 1 and array.dtype.kind not in "OSUc" else math.nan
    except (TypeError, ValueError):  # an unknown type, or fewer numbers than its shape says
        return math.nan


def _is_readable(path: Path, losses: list[str]) -> bool:
    if not path.is_file() or not os.access(path, os.R_OK):
        losses.append(f"{path}: not a file that can be read")
        return False
    if str(path) != str(path).encode(errors="replace").decode():
        losses.append(f"{path}: TensorBoard's reader takes only paths in UTF-8; rename the folder or the file")
        return False
    return True


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """Event files by the times at which they begin. Before a file that goes on from a step there is one that does not, whatever
    its time: the clock was put back, or another machine's was behind."""
    begun = sorted((_began(path), path) for path in paths)
    first = next((place for place, ((_, goes_on), _) in enumerate(begun) if not goes_on), 0)
    return [begun[first][1], *(path for _, path in begun[:first] + begun[first + 1 :])] if begun else []


def _began(path: Path) -> tuple[float, bool]:
    """The time of a file's first event, in seconds (0 if it has none), and whether the file goes on from a step above 0."""
    head = list(islice(_events(path, []), 2))
    goes_on = any(event.HasField("session_log") and event.step > 0 for event in head[1:])
    return (head[0].wall_time, goes_on) if head else (0.0, False)


def _events(path: Path, losses: list[str]) -> Iterator[Any]:
    """The events of a file, up to any damage."""
    from google.protobuf.message import DecodeError
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    whole, records = 0, RawEventFileLoader(str(path)).Load()
    while True:
        try:
            record = next(records, None)
            event = Event.FromString(record or b"")
        except (DecodeError, MemoryError, OverflowError):  # the last two: an impossible length
            break
        if record is None:
            break
        whole += len(record) + 16  # its length, and two checksums
        yield event
    if lost := path.stat().st_size - whole:
        losses.append(f"{path}: cut off or damaged after {whole:,} bytes; what follows, {lost:,} bytes, is not drawn")
