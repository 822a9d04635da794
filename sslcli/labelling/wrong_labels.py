"""Which training labels may be wrong, in a file, in a table, and on a contact sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.data import FOLDER
from sslcli.data.folder.entry import as_text
from sslcli.data.image_data import ImageData, centre
from sslcli.data.loading import load_data
from sslcli.data.on_disk import chosen
from sslcli.data.split import UNLABELLED, named
from sslcli.errors import UsageError
from sslcli.evaluation.suspects import Suspects, suspects
from sslcli.export.reading import Reader, reader_of
from sslcli.figures.canvas import save_picture
from sslcli.figures.contact_sheet import Frame, draw_sheet
from sslcli.figures.grids import pixels_of, short_name
from sslcli.files import write_text
from sslcli.options.pictures import DataCheck
from sslcli.paths import relative
from sslcli.plans.data_access import data_folder, reading_of
from sslcli.runs.naming import dataset_word
from sslcli.runs.registry import Registry

SHOWN, LISTED = 100, 20  # on the sheet, and in the terminal
COLUMNS = {"path": "image", "given": "label", "perhaps": "perhaps", "given_share": "probe says", "perhaps_share": "of perhaps"}


@dataclass(frozen=True)
class Found:
    """The suspects among the `judged` training labels of some data, by a run's encoder; positions are those of the data."""

    run: str
    data: ImageData
    judged: int
    suspects: Suspects


def find_suspects(registry: Registry, command: DataCheck) -> Found:
    """The training labels that may be wrong. Test labels are not judged: to correct those where a classifier disagrees would
    flatter it.

    A UsageError if the encoder sees pictures of another size or fit, or no two classes have two labels each.
    """
    reader = reader_of(registry, command.run, data_dir=command.data_dir, device=command.device)
    folder = data_folder(registry, command.data_dir)
    data = load_data(command.dataset, folder, download=command.download, reading=reading_of(registry, command))
    _hold_to_pictures(reader, data, command)
    rows = _judgeable(data, command.dataset)
    say(f"{reader.run.id}: computing representations of {len(rows):,} training images")
    found = suspects(reader.h(chosen(data.train_images, rows)), data.train_labels[rows], seed=command.seed)
    return Found(reader.run.id, data, len(rows), Suspects(rows.numpy()[found.rows], found.classes, found.given, found.other))


def _hold_to_pictures(reader: Reader, data: ImageData, command: DataCheck) -> None:
    if reader.size != data.image_size:
        raise UsageError(
            f"--labels-too: the encoder of {reader.run.id} sees {reader.size} pixels, but {command.dataset} is shown at "
            f"{data.image_size}; accepted is an encoder pretrained on these pictures, or --image-size {reader.size}"
        )
    of_pictures = command.dataset.startswith(FOLDER) and str(reader.run.dataset).startswith(FOLDER)
    if of_pictures and reader.fit != data.fit:
        raise UsageError(
            f"--labels-too: {reader.run.id} was trained with --fit {reader.fit}, but {command.dataset} is shown with --fit "
            f"{data.fit}; accepted is --fit {reader.fit}"
        )


def _judgeable(data: ImageData, dataset: str) -> Tensor:
    """The positions of the training images of all classes with two labels or more; the other classes are named."""
    counts = data.counts
    few = {label: count for label, count in counts.items() if count < 2}
    if len(counts) - len(few) < 2:
        raise UsageError(f"--labels-too: {dataset} has no two classes with two training labels each; add --labels FILE.csv")
    if few:
        say(f"--labels-too: not judged, because nothing is left to learn from: {named(few, data.classes)}")
    left_out = torch.tensor([UNLABELLED, *few])
    return (~torch.isin(data.train_labels, left_out)).nonzero().flatten()


def show_suspects(registry: Registry, command: DataCheck, found: Found) -> None:
    """Write the file and the sheet; print the most suspect labels, if results are printed as a table."""
    dataset = dataset_word(command.dataset)
    paths = found.data.files("train") or [f"{dataset}/train/{place}" for place in range(len(found.data.train_labels))]
    rows = _rows(found, paths)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([list(COLUMNS), *([row[name] for name in COLUMNS] for row in rows)])
    file, sheet = (registry.path(f"results/data/{dataset}_labels.{end}") for end in ("csv", "png"))
    write_text(file, text.getvalue())
    _draw(sheet, dataset, found, rows)
    if command.format in ("table", "markdown"):
        print(f"\nSuspect training labels: {len(rows):,} of {found.judged:,}, the most suspect first:")
        print_rows(rows[:LISTED], COLUMNS, style=command.format)
    say(f"wrote {relative(file)}" + (f" and {relative(sheet)}" if rows else " (no label is suspect: no picture)"))
    say("look at a picture before you change its label: a suspect label is one that probes disagree with, and they err, too")


def _rows(found: Found, paths: Sequence[str]) -> list[dict[str, str]]:
    """A row for each suspect, the most suspect first; probabilities as fractions."""
    data, few = found.data, found.suspects
    return [
        {
            "path": as_text(paths[row]), "given": data.classes[int(data.train_labels[row])], "perhaps": data.classes[label],
            "given_share": f"{given:.3f}", "perhaps_share": f"{other:.3f}",
        }
        for row, label, given, other in zip(
            few.rows.tolist(), few.classes.tolist(), few.given.tolist(), few.other.tolist(), strict=True
        )
    ]  # fmt: skip


def _draw(path: Path, dataset: str, found: Found, rows: list[dict[str, str]]) -> None:
    """Draw the most suspect pictures; without any, delete the picture."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    data, places = found.data, torch.from_numpy(found.suspects.rows[:SHOWN])
    frames = [
        Frame(pixels_of(image), short_name(f"{row['given']}?"), short_name(row["perhaps"]))
        for image, row in zip(centre(data.train_images[places], data.image_size), rows, strict=False)
    ]
    figure = draw_sheet(
        frames, title=f"{dataset}: the {len(frames)} most suspect training labels",
        subtitle=f"above: the label; below: what it is perhaps; the most suspect first\n{found.run}",
    )  # fmt: skip
    save_picture(figure, path, description=f"Run: {found.run}. Data {data.fingerprint}")
