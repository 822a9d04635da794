"""Save the representations of images for numpy and for TensorBoard's projector."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcli.console.messages import say
from sslcli.data.folder.entry import as_text
from sslcli.data.image_data import label_name
from sslcli.errors import StateError, UsageError
from sslcli.export.reading import Reader, reader_of
from sslcli.figures.grids import pixels_of
from sslcli.figures.projector import MOST, write_projector
from sslcli.files import atomic_write, write_text
from sslcli.paths import relative
from sslcli.runs.registry import Registry

Rows = list[tuple[str, str]]
"""Path and label of each image; an image without a label has an empty one."""
Made = tuple[NDArray[np.float32], Rows, Callable[[int], Tensor]]
"""h (N, d) of images, their rows, and the pixels (3, S, S) uint8 at a position."""


def write_embeddings(
    registry: Registry,
    selector: str | None,
    *,
    part: str,
    images: Sequence[str],
    out: Path | None,
    data_dir: Path | None,
    device: str,
) -> None:
    """Write the files, and say what they are and how to view them.

    `selector` names the run, `images` your own pictures; without pictures it reads `part`, test or train, of the run's data.
    """
    reader = reader_of(registry, selector, data_dir=data_dir, device=device)
    folder = out or registry.path(f"results/embeddings/{reader.run.id}/{'images' if images else part}")
    if folder.exists() and not folder.is_dir():
        raise StateError(f"--out {folder} is a file; accepted is a folder")
    h, rows, image_at = _own(reader, images) if images else _of_data(reader, part)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("path", "label"), *rows])
    atomic_write(folder / "h.npy", lambda handle: np.save(handle, h))
    write_text(folder / "images.csv", buffer.getvalue())
    written = write_projector(folder, h, lambda place: pixels_of(image_at(place)), rows)
    print(f"{reader.run.id}: h of {len(h):,} images, {h.shape[1]} numbers each, float32")
    fewer = f", {MOST:,} of them for the projector" if len(h) > MOST else ""
    names = ", ".join(["h.npy", "images.csv", *(path.name for path in written)])
    say(f"wrote in {relative(folder)}: {names}{fewer}")
    say(f"next, type: tensorboard --logdir {shlex.quote(relative(folder))}, and choose Projector")


def _own(reader: Reader, names: Sequence[str]) -> Made:
    """Of own pictures. More than the projector shows are not held in memory: it reads those that it shows again."""
    say(f"{reader.run.id}: computing representations of own pictures")
    paths, parts, kept = list[Path](), list[Tensor](), list[Tensor]()
    for some in filter(None, reader.pictures(names)):
        paths += [path for path, _ in some]
        parts.append(reader.h(torch.stack([pixels for _, pixels in some])))
        kept = [*kept, *(pixels for _, pixels in some)] if len(paths) <= MOST else []

    def image_at(place: int) -> Tensor:
        return kept[place] if kept else next(filter(None, reader.pictures([str(paths[place])])))[0][1]

    return _float32(torch.cat(parts)), [(as_text(str(path)), "") for path in paths], image_at


def _float32(h: Tensor) -> NDArray[np.float32]:
    return h.numpy().astype(np.float32)


def _of_data(reader: Reader, part: str) -> Made:
    """Of the test or training images of the run's data set; without files, their paths are dataset/part/position from 0."""
    data = reader.data()
    images, labels = (data.test_images, data.test_labels) if part == "test" else (data.train_images, data.train_labels)
    if not len(images):
        raise UsageError(f"{reader.run.dataset} has no {part} images; accepted: --part train, or --images with pictures")
    names = [label_name(data.classes, label) if label >= 0 else "" for label in labels.tolist()]
    paths = data.files(part) or [f"{reader.run.dataset}/{part}/{place}" for place in range(len(names))]
    say(f"{reader.run.id}: computing representations of {len(images):,} images")
    return _float32(reader.h(images)), list(zip(paths, names, strict=True)), lambda place: images[place]
