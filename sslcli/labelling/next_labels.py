"""What to label next: the pictures whose labels would help most, in a file to fill in and on a contact sheet."""

from __future__ import annotations

import csv
import io
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sslcli.console.messages import say
from sslcli.data import FOLDER
from sslcli.data.folder.catalogue import list_pictures, with_class
from sslcli.data.folder.entry import Entry
from sslcli.data.folder.label_file import HEADS, predicted_in, read_labels
from sslcli.data.image_data import ImageData, centre
from sslcli.data.on_disk import chosen
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.choosing import Rows, typical, unsure
from sslcli.export.reading import Reader, reader_of
from sslcli.figures.canvas import save_picture
from sslcli.figures.contact_sheet import Frame, draw_sheet
from sslcli.figures.grids import pixels_of, short_name
from sslcli.files import atomic_write
from sslcli.labelling.kept_labels import hold_to_labels
from sslcli.paths import relative
from sslcli.plans.data_access import pictures_of_run
from sslcli.runs.paths import labels_of, located
from sslcli.runs.registry import Registry

MOST_DRAWN = 400
HOW = {
    "typical": "the most typical of clusters without a label",
    "margin": "those that a logistic regression on the labels is least sure of",
    "random": "drawn at random, for the test",
}


@dataclass(frozen=True, kw_only=True)
class LabelsWanted:
    """How many pictures to choose, how (a key of HOW), with which seed, and the file of the labels that there are already."""

    n: int
    how: str
    seed: int
    labels: Path | None = None


def suggest(
    registry: Registry, selector: str | None, wanted: LabelsWanted, *, out: Path | None, data_dir: Path | None, device: str
) -> None:
    """Write the file and the sheet; `selector` names the run whose encoder is used, by default the newest pretrain run."""
    file = out or registry.path("results/labels/next.csv")
    _hold_to_labels(file, wanted)
    reader = reader_of(registry, selector, data_dir=data_dir, device=device)
    data, given = _pictures(registry, reader, wanted, data_dir)
    entries = [Entry(line.path, line.label or None, line.part) for line in data.manifest if line.part != "test"]
    paths = [entry.path for entry in entries]
    rows = _chosen(reader, data, entries, wanted)
    _write(file, given, [paths[row] for row in rows.tolist()], test=wanted.how == "random")
    _draw(registry, reader, data, [(row, paths[row]) for row in rows.tolist()], wanted)
    known = sum(entry.label is not None for entry in given)
    print(f"{relative(file)}: {known:,} labels that you have, {len(rows):,} pictures to label: {HOW[wanted.how]}")
    if wanted.how != "random":
        advice = registry.command("ssl suggest --for-test")
        say(f"do not test on pictures chosen like this: they are not like the others; for a test, type: {advice}")
    say(f"fill in the column label; then type: {registry.command(f'ssl probe --labels {shlex.quote(relative(file))}')}")


def _hold_to_labels(file: Path, wanted: LabelsWanted) -> None:
    """A StateError if labels would be lost: if the file to write has some and is not the one that is read."""
    if wanted.labels is None or os.path.realpath(wanted.labels) != os.path.realpath(file):
        kept = f"to keep them, type: ssl suggest --labels {shlex.quote(str(file))}, or choose another --out"
        hold_to_labels(file, written_by="ssl suggest", advice=kept)


def _hold_to_given(labels: Path | None) -> None:
    """A UsageError if a classifier predicted some of the labels: what to label next would be chosen by its answers."""
    if labels is not None and (predicted := len(predicted_in(labels))):
        raise UsageError(
            f"--labels {labels}: {predicted:,} of its labels were predicted (column by); accepted is a file of the labels that "
            "you gave"
        )


def _pictures(registry: Registry, reader: Reader, wanted: LabelsWanted, data_dir: Path | None) -> tuple[ImageData, list[Entry]]:
    """The pictures of the run's folder, and those to write first, with class and part: by the file of `wanted`, or the run."""
    dataset = str(located(registry, reader.run.options).get("dataset"))
    if not dataset.startswith(FOLDER):
        raise UsageError(f"run {reader.run.id} learned from {dataset}; accepted is a run of --dataset folder:PATH")
    _hold_to_given(wanted.labels or labels_of(registry, reader.run))
    if wanted.labels is None:
        data = reader.data()
        return data, [Entry(line.path, line.label, line.part) for line in data.manifest if line.label]
    data = pictures_of_run(registry, reader.run, data_dir, labels=wanted.labels)
    places = list_pictures(Path(dataset.removeprefix(FOLDER))).places
    rows = [replace(with_class(row), path=places.find(row.path) or row.path) for row in read_labels(wanted.labels).values()]
    return data, [row for row in rows if row.label is not None or row.part == "test"]  # drawn for the test, not filled in yet


def _chosen(reader: Reader, data: ImageData, entries: list[Entry], wanted: LabelsWanted) -> Rows:
    """The positions of the chosen pictures among the training images, whose classes and parts `entries` has."""
    labels = [entry.label for entry in entries]
    free = np.array([place for place, label in enumerate(labels) if label is None], np.int64)
    if not len(free):
        raise StateError(
            f"every training picture of {reader.run.id} has a label; to choose among those that a file leaves out, type: "
            "ssl suggest --labels FILE.csv"
        )
    if wanted.n > len(free):
        raise UsageError(f"--n {wanted.n}: accepted is at most the {len(free):,} training pictures without a label")
    if wanted.how == "random":
        return np.random.default_rng(wanted.seed).permutation(free)[: wanted.n]
    taught = np.array([place for place, label in enumerate(labels) if label is not None], np.int64)
    names = sorted({str(labels[place]) for place in taught})
    if wanted.how == "margin" and len(names) < 2:
        raise UsageError("--how margin: it needs labels of at least two classes; accepted without them is --how typical")
    pool = np.sort(np.concatenate([free, taught]))
    say(f"{reader.run.id}: computing representations of {len(pool):,} images")
    h, places = reader.h(chosen(data.train_images, torch.from_numpy(pool))), np.searchsorted(pool, taught)
    if wanted.how == "margin":
        of_taught = np.array([names.index(str(labels[place])) for place in taught])
        return pool[unsure(h, places, of_taught, n=wanted.n)]
    return pool[typical(h, places, n=wanted.n, seed=wanted.seed)]


def _write(file: Path, given: list[Entry], chosen_paths: list[str], *, test: bool) -> None:
    """Write the labels that are given, then the chosen pictures without one; the third column only if a part is known."""
    parted = test or any(entry.part for entry in given)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADS[parted])
    rows.writerows([entry.path, entry.label or "", *[entry.part or ""] * parted] for entry in given)
    rows.writerows([path, "", *["test" if test else "train"] * parted] for path in chosen_paths)
    atomic_write(file, lambda handle: handle.write(text.getvalue().encode("utf-8", "surrogateescape")))


def _draw(
    registry: Registry, reader: Reader, data: ImageData, chosen_ones: list[tuple[int, str]], wanted: LabelsWanted
) -> None:
    """Draw the chosen pictures, numbered in their order in the file."""
    shown = chosen_ones[:MOST_DRAWN]
    images = centre(data.train_images[torch.tensor([row for row, _ in shown])], data.image_size)
    frames = [
        Frame(pixels_of(image), str(number), short_name(os.path.basename(path)))
        for number, (image, (_, path)) in enumerate(zip(images, shown, strict=True), 1)
    ]
    some = f"the first {MOST_DRAWN} of " if len(chosen_ones) > MOST_DRAWN else ""
    figure = draw_sheet(
        frames, title=f"To label next: {some}{len(chosen_ones)} pictures",
        subtitle=f"{HOW[wanted.how]}; numbered as in the file\n{reader.run.id}",
    )  # fmt: skip
    path = registry.path("results/predictions/suggested.png")
    save_picture(figure, path, description=f"Run: {reader.run.id}. Pictures: {', '.join(path for _, path in shown)}")
    say(f"wrote {relative(path)}")
