"""The folds of an evaluation: which labelled image is tested when, with copies of a picture in one fold."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from sslcli.console.messages import say
from sslcli.data.check_file import read_check
from sslcli.data.folder.label_file import predicted_in
from sslcli.data.folds import each, exact_copies, folds_of, hold_to_folds, joined
from sslcli.data.image_data import ImageData
from sslcli.data.split import UNLABELLED
from sslcli.errors import UsageError
from sslcli.options.probe import Probe
from sslcli.options.trainings import TrainingOptions
from sslcli.runs.naming import dataset_word
from sslcli.runs.paths import recorded, words_to_read
from sslcli.runs.registry import Registry


@dataclass(frozen=True)
class Folds:
    """Of every labelled image, training images first: its position, label and fold (N,)."""

    indices: Tensor
    labels: Tensor
    fold: Tensor


def check_folds(registry: Registry, options: Probe, data: ImageData, *, dataset: str, labels: Path | None) -> None:
    """A UsageError if these options or data cannot be tested in folds, or if a classifier predicted some of the labels."""
    if not options.by_protocol.in_folds:
        raise UsageError(f"--folds {options.folds}: not with --protocol {options.protocol}, which trains on views of images")
    if options.label_fraction != 1:
        raise UsageError(f"--folds {options.folds} with --label-fraction {options.label_fraction:g}: accepted is one of them")
    if predicted := len(predicted_in(labels)):
        raise UsageError(
            f"--folds {options.folds}: {predicted:,} of the labels in {labels} were predicted (column by), and a test on them "
            "would test nothing; accepted without --folds, or with a file of the labels that you gave"
        )
    drawn = draw_folds(registry, dataset, data, folds=options.folds or 0, seed=options.seed or 0)
    protocol = options.by_protocol
    if protocol.check is not None:
        protocol.check(protocol.own(options.options()), len(drawn.fold) - int(drawn.fold.bincount().max()))


def tell_of_copies(registry: Registry, data: ImageData, options: TrainingOptions) -> None:
    """Say that near duplicates may be in several folds, unless `ssl data check` has looked for them in these data."""
    if _known_pairs(registry, str(options.dataset), data) is None:
        words = words_to_read(registry, recorded(registry, options.options()))
        check = registry.command(shlex.join(["ssl", "data", "check", *words]))
        say(
            f"--folds: copies of a picture stay in one fold, but near duplicates are not known yet; to find them, type: {check}"
        )


def draw_folds(registry: Registry, dataset: str, data: ImageData, *, folds: int, seed: int) -> Folds:
    """The folds of all labelled images; a UsageError if a class has too few. They depend on nothing that was trained."""
    labels, train = data.train_labels.cpu(), len(data.train_labels)
    rows = (labels != UNLABELLED).nonzero().flatten()
    tested = torch.arange(len(data.test_labels))
    indices = torch.cat([rows, train + tested])
    every = torch.cat([labels[rows], data.test_labels.cpu()])
    copies = exact_copies(chain(each(data.train_images, rows), each(data.test_images, tested)))
    place = {index: number for number, index in enumerate(indices.tolist())}
    pairs = _known_pairs(registry, dataset, data) or []
    root = joined((copies[place[a]], copies[place[b]]) for a, b in pairs if a in place and b in place)
    fold = folds_of(every, [root(number) for number in copies], folds=folds, seed=seed)
    hold_to_folds(every, fold, folds=folds, classes=data.classes)
    return Folds(indices, every, fold)


def _known_pairs(registry: Registry, dataset: str, data: ImageData) -> list[tuple[int, int]] | None:
    """The positions of duplicates that `ssl data check` found in these data; None if they were not checked."""
    path = registry.path(f"results/data/{dataset_word(dataset)}.json")
    if not path.exists() or (found := read_check(path)).fingerprint != data.fingerprint:
        return None
    offset = {"train": 0, "test": len(data.train_labels)}
    return [(offset[pair.where_a] + pair.i, offset[pair.where_b] + pair.j) for pair in found.pairs]
