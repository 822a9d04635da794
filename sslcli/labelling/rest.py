"""Label the rest: write the class and the confidence of every picture of a folder, in a file that --labels takes."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import torch

from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.data.folder.contents import Contents, Reasons, contents
from sslcli.data.folder.entry import Entry
from sslcli.data.folder.label_file import BY_CLASSIFIER, GIVEN, HEADS, PREDICTED
from sslcli.data.folder.own_images import skipped_in_words
from sslcli.data.folder.picture_stream import read_in_turn
from sslcli.errors import UsageError
from sslcli.files import atomic_write
from sslcli.gallery.predictions import run_for_own_images
from sslcli.labelling.calibration import save_calibration
from sslcli.labelling.kept_labels import hold_to_labels
from sslcli.labelling.rating import Rater, given_labels, rater_of
from sslcli.options.pictures import Predict
from sslcli.paths import relative
from sslcli.plans.data_access import data_of_run
from sslcli.runs.paths import labels_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.device import usable_cores

SURE = (0.5, 0.9, 0.99)  # confidences whose pictures are counted
MOST_COUNTED = 10  # classes
Given = dict[str, tuple[str, str]]
"""The class and the part of labelled pictures, by path."""


@dataclass
class Tally:
    """What was written: pictures with a given label, predicted ones by class and by confidence, unlike ones, broken ones."""

    given: int = 0
    unlike: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sure: Counter[float] = field(default_factory=Counter)
    broken: Reasons = field(default_factory=list)

    @property
    def predicted(self) -> int:
        """The number of predicted labels."""
        return self.classes.total()


def label_rest(registry: Registry, command: Predict) -> None:
    """Write the CSV file `command.out` for the folder in `command.images`, and say how far its confidence can be trusted."""
    folder, out = _folder_and_out(command)
    record = run_for_own_images(registry, command)
    _hold_to_other_file(registry, record, out)
    found = contents(folder, called=str(folder))
    data = data_of_run(registry, record, command.data_dir)
    known, tally, real = given_labels(registry, record, data), Tally(), os.path.realpath(folder)

    def again(row: Entry) -> bool:
        return row.by == BY_CLASSIFIER or known.get(os.path.join(real, row.path), ("",))[0] == row.label

    hold_to_labels(out, written_by="ssl predict", advice="to keep them, choose another --out", kept=again)
    rater = rater_of(registry, record, data, device=command.device)
    atomic_write(out, lambda handle: _write(handle, folder, found, rater, known, tally))
    print(f"{relative(out)}: {_in_words(tally)}")
    print(save_calibration(registry, record, temperature=rater.temperature, validated=rater.validated))
    _tell_of_skipped(folder, found, tally, out)
    say(f"wrote {relative(out)}, by {record.id}, which knows only these classes: {', '.join(rater.names)}")


def _folder_and_out(command: Predict) -> tuple[Path, Path]:
    """The folder to label and the file to write; a UsageError if it is not one folder, or the file cannot be written."""
    names, out = [*(command.images or []), *(command.more or [])], command.out
    assert out is not None
    if len(names) != 1 or os.path.isfile(names[0]):
        raise UsageError(f"--images {' '.join(names)}: accepted with --out {out} is one folder: its paths start there")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; accepted is the name of a CSV file")
    return Path(names[0]), out


def _hold_to_other_file(registry: Registry, record: Run, out: Path) -> None:
    """A UsageError if the file to write has the labels that the run learned from."""
    learned = labels_of(registry, record)
    if learned and os.path.realpath(learned) == os.path.realpath(out):
        raise UsageError(f"--out {out}: {record.id} learned from the labels in this file; accepted is another name")


def _write(handle: IO[bytes], folder: Path, found: Contents, rater: Rater, known: Given, tally: Tally) -> None:
    """Write all rows; a UsageError if no picture can be read."""
    text = io.TextIOWrapper(handle, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*HEADS[1], *PREDICTED])
    real = os.path.realpath(folder)
    unknown = []
    for path in found.pictures:
        if (given := known.get(os.path.join(real, path))) is None:
            unknown.append(path)
        else:
            rows.writerow([path, *given, "1", "", "no", GIVEN])
            tally.given += 1
    rows.writerows(_predicted(folder, unknown, rater, tally))
    text.detach()
    if not tally.given and not tally.predicted:
        raise UsageError(f"{folder}: no readable picture: {skipped_in_words(found, tally.broken)}")


def _predicted(folder: Path, paths: list[str], rater: Rater, tally: Tally) -> Iterator[list[str]]:
    """The rows of pictures without a label. They are for training: a test on predicted labels would test nothing."""
    done, progress = 0, ShareDone("labelling pictures")
    for some in read_in_turn(folder, paths, side=rater.side, fit=rater.fit, workers=usable_cores()):
        tally.broken += [(path, read) for path, read in some if isinstance(read, str)]
        whole = [(path, read) for path, read in some if not isinstance(read, str)]
        if whole:
            rated = rater.rate(torch.from_numpy(np.stack([pixels for _, pixels in whole])))
            figures = zip(rated.classes.tolist(), rated.confidence.tolist(), rated.distance.tolist(), strict=True)
            for (path, _), (label, confidence, distance) in zip(whole, figures, strict=True):
                unlike = distance > rater.familiar.threshold
                tally.unlike += unlike
                tally.classes[rater.names[label]] += 1
                tally.sure.update(level for level in SURE if confidence >= level)
                yield [
                    path, rater.names[label], "train", f"{confidence:.4f}", f"{distance:.4f}", "yes" if unlike else "no",
                    BY_CLASSIFIER,
                ]  # fmt: skip
        done += len(some)
        progress(done / len(paths))


def _in_words(tally: Tally) -> str:
    """What was written, in words."""
    counts = [f"{name} {count:,}" for name, count in tally.classes.most_common(MOST_COUNTED)]
    more = f" and {len(tally.classes) - MOST_COUNTED:,} more classes" * (len(tally.classes) > MOST_COUNTED)
    sure = ", ".join(f"{tally.sure[level]:,} at least {level:.0%}" for level in SURE)
    words = [
        f"{tally.given:,} labels that were given" if tally.given else "",
        f"{tally.predicted:,} predicted ({', '.join(counts)}{more})" if tally.predicted else "",
        f"confidence {sure}" if tally.predicted else "",
        f"{tally.unlike:,} unlike anything trained on" if tally.predicted else "",
    ]
    return "; ".join(filter(None, words))


def _tell_of_skipped(folder: Path, found: Contents, tally: Tally, out: Path) -> None:
    """Name what was skipped: the first ones in a message, all broken pictures in a file beside the labels."""
    listed = out.with_suffix(".skipped.csv")
    if tally.broken:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([("path", "reason"), *tally.broken])
        atomic_write(listed, lambda handle: handle.write(text.getvalue().encode("utf-8", "surrogateescape")))
        say(f"broken pictures are named in {relative(listed)}")
    else:
        listed.unlink(missing_ok=True)
    if words := skipped_in_words(found, tally.broken):
        say(f"{folder}: skipped: {words}")
