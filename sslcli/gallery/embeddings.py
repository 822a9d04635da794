"""Save the representations of images for numpy and for TensorBoard's projector."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sslcli.console.messages import say
from sslcli.data.folder.entry import as_text
from sslcli.data.image_data import label_name
from sslcli.data.on_disk import Images
from sslcli.errors import StateError, UsageError
from sslcli.export.reading import Reader, own_pictures, reader_of
from sslcli.figures.grids import pixels_of
from sslcli.figures.projector import MOST, write_projector
from sslcli.files import atomic_write, write_text
from sslcli.paths import relative
from sslcli.runs.registry import Registry

Rows = list[tuple[str, str]]
"""Path and label of each image; an image without a label has an empty one."""


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
    shown, rows = _own(reader, images) if images else _of_data(reader, part)
    folder = out or registry.path(f"results/embeddings/{reader.run.id}/{'images' if images else part}")
    if folder.exists() and not folder.is_dir():
        raise StateError(f"--out {folder} is a file; accepted is a folder")
    say(f"{reader.run.id}: computing representations of {len(shown):,} images")
    h = reader.h(shown).numpy().astype(np.float32)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("path", "label"), *rows])
    atomic_write(folder / "h.npy", lambda handle: np.save(handle, h))
    write_text(folder / "images.csv", buffer.getvalue())
    written = write_projector(folder, h, lambda place: pixels_of(shown[place]), rows)
    print(f"{reader.run.id}: h of {len(h):,} images, {h.shape[1]} numbers each, float32")
    fewer = f", {MOST:,} of them for the projector" if len(h) > MOST else ""
    names = ", ".join(["h.npy", "images.csv", *(path.name for path in written)])
    say(f"wrote in {relative(folder)}: {names}{fewer}")
    say(f"next, type: tensorboard --logdir {shlex.quote(relative(folder))}, and choose Projector")


def _own(reader: Reader, names: Sequence[str]) -> tuple[Images, Rows]:
    paths, images = own_pictures(reader, names)
    return images, [(as_text(str(path)), "") for path in paths]


def _of_data(reader: Reader, part: str) -> tuple[Images, Rows]:
    """The test or training images of the run's data set; without files, their paths are dataset/part/position from 0."""
    data = reader.data()
    images, labels = (data.test_images, data.test_labels) if part == "test" else (data.train_images, data.train_labels)
    if not len(images):
        raise UsageError(f"{reader.run.dataset} has no {part} images; accepted: --part train, or --images with pictures")
    names = [label_name(data.classes, label) if label >= 0 else "" for label in labels.tolist()]
    paths = data.files(part) or [f"{reader.run.dataset}/{part}/{place}" for place in range(len(names))]
    return images, list(zip(paths, names, strict=True))
