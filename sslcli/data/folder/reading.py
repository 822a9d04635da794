"""Read a folder of pictures, with or without classes, as a data set."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from sslcli.data.folder.catalogue import Listing, list_pictures
from sslcli.data.folder.contents import Reasons
from sslcli.data.folder.entry import Entry
from sslcli.data.folder.manifest import Line
from sslcli.data.folder.partition import classes_of, sample_parts
from sslcli.data.folder.picture_cache import Decoded, Progress, decode
from sslcli.data.folder.pictures import Fit, counted, size_of
from sslcli.data.image_data import ImageData
from sslcli.data.on_disk import Images, Stored
from sslcli.data.split import UNLABELLED
from sslcli.errors import StateError

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)  # sides that the usual side is rounded down to
SAMPLE = 1000  # pictures whose headers give the usual size
MARGIN = 8 / 7  # the stored side divided by the side that is shown, as 256 / 224; no picture is enlarged for it
IN_MEMORY = 2**30  # bytes of pixels held in memory at most; larger data stay in the file
MOST_BROKEN = 0.1


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read a folder: a CSV file of labels, the side that an encoder sees (None: from the pictures), how pictures become
    square, the number of processes, and functions for progress and messages.
    """

    labels: Path | None = None
    image_size: int | None = None
    fit: Fit = "crop"
    workers: int = 1
    progress: Progress = field(default=lambda _: None, compare=False)
    say: Callable[[str], None] = field(default=lambda _: None, compare=False)


def load_folder(root: Path, caches: Path, reading: Reading) -> ImageData:
    """The pictures below `root` as a data set, decoded now or found in `caches`.

    Without a test part the validation part is the test; without that it is a fifth of each class, drawn by the pictures'
    content: the same for every seed, with all copies of a picture. A StateError if there are no pictures, or more than a
    tenth cannot be read.
    """
    listing = list_pictures(root)
    if reading.labels is not None:
        listing = listing.named(reading.labels)
    _hold_to_tenth(listing, [])
    for note in listing.notes:
        reading.say(note)
    paths = [entry.path for entry in listing.entries]
    typical = usual_side(root, paths)
    (size, side), (usual, _) = sides(typical, reading), sides(typical, replace(reading, image_size=None))
    found = decode(root, paths, side=side, fit=reading.fit, caches=caches, workers=reading.workers, progress=reading.progress)
    _tell_of_problems(listing, found, reading.say)
    _tell_of_dark(root, found, reading.say)
    rows = [row for row, problem in enumerate(found.problems) if not problem]
    entries = [listing.entries[row] for row in rows]
    digests = [found.digests[row] for row in rows]
    entries = sample_parts(entries, digests)
    reading.say(f"{_name(root)}: {_in_words(entries)}; shown at {size} x {size} pixels, {reading.fit}")
    manifest = tuple(Line(d, e.part or "", e.label or "", e.path) for d, e in zip(digests, entries, strict=True))
    data = _data_of(entries, rows, found, size, reading.fit)
    return replace(data, content=_content(manifest, [side, *[size] * (size != usual)], reading.fit), manifest=manifest)


def usual_side(root: Path, paths: Sequence[str]) -> float:
    """The median of the shorter sides of some pictures, in pixels; the smallest of SIZES if none can be read."""
    some = paths[:: max(1, len(paths) // SAMPLE)]
    sides = [side for path in some if (side := size_of(root / path))]
    return median(sides) if sides else SIZES[0]


def sides(usual: float, reading: Reading) -> tuple[int, int]:
    """The sides in pixels of the squares that an encoder sees and of the stored ones, for pictures of this usual side.

    The first is the largest of SIZES up to the usual side, or the smallest of them. Stored squares have a margin, as far as
    pictures need not be enlarged for it; padded ones have none.
    """
    size = reading.image_size or max((size for size in SIZES if size <= usual), default=SIZES[0])
    return size, size if reading.fit == "pad" else max(size, min(math.ceil(MARGIN * size), int(usual)))


def _data_of(entries: list[Entry], rows: list[int], found: Decoded, size: int, fit: Fit) -> ImageData:
    classes = classes_of(entries)
    label_of = {name: label for label, name in enumerate(classes)} | {None: UNLABELLED}
    labels = torch.tensor([label_of[entry.label] for entry in entries])
    tested = torch.tensor([entry.part == "test" for entry in entries])
    held = torch.tensor([entry.part == "val" and entry.label is not None for entry in entries])
    test = tested & (labels != UNLABELLED)
    places = torch.tensor(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that nothing may be written to them, and nothing is written
        pixels = torch.from_numpy(found.images)

    def of(chosen: torch.Tensor) -> Images:
        return pixels[places[chosen]] if pixels.numel() <= IN_MEMORY else Stored(pixels, places[chosen], found.file)

    train = ~tested
    if not train.any():
        raise StateError("every picture is in the test part; none is left to train on")
    mean, square = found.moments[places[train].numpy()].mean(0)
    return ImageData(
        train_images=of(train), train_labels=labels[train], test_images=of(test), test_labels=labels[test],
        classes=tuple(classes), given_val=held[train].nonzero().flatten() if held.any() else None, size=size, fit=fit,
        moments=(torch.tensor(mean).float(), torch.tensor(np.sqrt(np.maximum(square - mean**2, 1e-8))).float()),
    )  # fmt: skip


def _content(manifest: Sequence[Line], sides: Sequence[int], fit: Fit) -> str:
    """sha256 over the files' content, classes and parts, and how they became square; not over their names.

    `sides` are the stored side and, if it is not the usual one, the side that an encoder sees.
    """
    what = [*sides, fit, [(line.sha256, line.part, line.label) for line in manifest]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _tell_of_problems(listing: Listing, found: Decoded, say: Callable[[str], None]) -> None:
    """Write the skipped files to a list, and say how many; a StateError if they are more than a tenth of the pictures."""
    broken = [(path, problem) for path, problem in zip(found.paths, found.problems, strict=True) if problem]
    if not (skipped := [*broken, *listing.others, *listing.found.passed_over]):
        return
    file = found.folder.with_suffix(".skipped.csv")
    with suppress(OSError), file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as lines:
        csv.writer(lines).writerows([("path", "reason"), *skipped])
    _hold_to_tenth(listing, broken, file=file)
    say(f"{_name(listing.found.root)}: skipped, and named in {file}: {_counts(listing, broken)}")
    for line in counted(reason for _, reason in listing.others):
        say(f"{_name(listing.found.root)}: skipped {line}")


def _tell_of_dark(root: Path, found: Decoded, say: Callable[[str], None]) -> None:
    """Warn about 16-bit pictures that look too dark because they hold only 12 bits (or 14, if all of them do)."""
    used = [bits for bits in found.bits if bits]
    most = next((bits for bits in (12, 14) if used and max(used) <= bits), 12)
    dark = sum(bits <= most for bits in used)
    if dark:
        say(
            f"ssl: WARNING: {_name(root)}: {dark:,} of {len(used):,} pictures of 16 bits have no value above {2**most - 1:,}: "
            f"{most} bits in 16? They are shown {'nearly black' if most == 12 else 'dark'}; if so, multiply their values by "
            f"{2 ** (16 - most)}"
        )


def _hold_to_tenth(listing: Listing, broken: Reasons, *, file: Path | None = None) -> None:
    """A StateError if more than a tenth of the pictures are broken or cannot be reached."""
    lost = listing.found.lost
    unread = len(broken) + sum(found.pictures for found in lost)
    if unread <= MOST_BROKEN * (len(listing.entries) + unread - len(broken)):
        return
    some = "; ".join(f"{path!r}: {reason}" for path, reason in [*broken, *((found.path, found.reason) for found in lost)][:5])
    named = f". All are named in {file}" if file else ""
    advice = "".join(f"; {words}" for words in (listing.found.advice(),) if words)
    raise StateError(
        f"{listing.found.root}: {_counts(listing, broken)}. At most a tenth may be skipped. The first: {some}{named}{advice}"
    )


def _counts(listing: Listing, broken: Reasons) -> str:
    return listing.found.skipped(len(broken), tried=len(listing.entries), others=len(listing.others) - len(listing.found.lost))


def _name(root: Path) -> str:
    return os.path.basename(os.path.abspath(root)) or str(root)


def _in_words(entries: list[Entry]) -> str:
    counts = {part: sum(entry.part == part for entry in entries) for part in ("train", "val", "test")}
    parts = ", ".join(f"{count:,} {part}" for part, count in counts.items() if count)
    labelled = sum(entry.label is not None for entry in entries)
    classes = len({entry.label for entry in entries} - {None})
    return f"{len(entries):,} pictures ({parts}), {labelled:,} with a label" + (f" of {classes} classes" if classes else "")
