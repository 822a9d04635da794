"""Split the labelled training images into those that train a classifier and those that validate it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.errors import UsageError

LEAST_LABELS = 2  # labelled images per class, training and validation together
HELD_OUT = 0.1  # of the labelled images, unless the data have a validation part
NAMED = 10  # classes that a message names at most
UNLABELLED = -1
"""The label of a training image whose class is unknown."""


@dataclass(frozen=True)
class Split:
    """Indices of the training images that train a classifier, and of those that validate it (every choice uses them)."""

    train: Tensor
    val: Tensor


def split(
    labels: Tensor,
    *,
    seed: int,
    val_fraction: float = HELD_OUT,
    label_fraction: float = 1.0,
    given_val: Tensor | None = None,
) -> Split:
    """Split the labelled training images by class and seed: `val_fraction` of each class is for validation.

    If the data give a validation part, `given_val` replaces it. `label_fraction` of both parts keeps its labels, at least one
    image of each class: with few labels, validation is small, too. Subsets of one seed are nested: the 10 % contain the 1 %.
    """
    labels = labels.cpu()
    draws = torch.rand(len(labels), generator=generator(seed, "split"))
    given = torch.zeros(len(labels), dtype=torch.bool)
    if given_val is not None:
        given[given_val] = True
    train = val = torch.empty(0, dtype=torch.int64)
    for label in torch.unique(labels[labels != UNLABELLED]):
        members = (labels == label).nonzero().flatten()
        members = members[draws[members].argsort()]
        if given_val is not None:
            of_val, of_train = members[given[members]], members[~given[members]]
        else:
            held_out = validating(len(members), val_fraction)
            of_val, of_train = members[:held_out], members[held_out:]
        val = torch.cat([val, of_val[: _some(len(of_val), label_fraction)]])
        train = torch.cat([train, of_train[: _some(len(of_train), label_fraction)]])
    return Split(train.sort().values, val.sort().values)


def size_of_split(counts: Mapping[int, int], *, label_fraction: float, of_val: Mapping[int, int] | None = None) -> int:
    """The number of images in both parts of a `split`, from the labelled images of each class; nothing is drawn.

    `of_val` are those of a given validation part.
    """
    size = 0
    for label, count in counts.items():
        held_out = validating(count) if of_val is None else of_val.get(label, 0)
        size += _some(held_out, label_fraction) + _some(count - held_out, label_fraction)
    return size


def validating(members: int, val_fraction: float = HELD_OUT) -> int:
    """How many of a class's labelled training images are for validation, at least one."""
    return _some(members, val_fraction)


def _some(count: int, fraction: float) -> int:
    """A fraction of so many images: rounded, and at least one if there is any."""
    return min(count, max(1, round(fraction * count)))


def hold_to_labels(counts: Mapping[int, int], *, label_fraction: float, dataset: str, classes: Sequence[str] = ()) -> None:
    """A UsageError if `split` would take more labels than were asked for; `classes` are the names of the classes.

    `counts` are the labelled images of each class. Each needs one image for training and one for validation.
    """
    smallest = min(counts.values())
    if label_fraction == 1 or label_fraction * smallest >= LEAST_LABELS:
        return
    least = min(1.0, math.ceil(LEAST_LABELS / smallest * 1e6) / 1e6)
    few = {label: count for label, count in counts.items() if label_fraction * count < LEAST_LABELS}
    raise UsageError(
        f"--label-fraction {label_fraction:g}: this is {label_fraction * smallest:.2g} of the {smallest:,} training images of "
        f"the smallest class of {dataset}; {LEAST_LABELS} are needed, one for training and one for validation; "
        f"accepted is {least:g} to 1. Too small: {named(few, classes)}"
    )


def class_counts(labels: Tensor) -> dict[int, int]:
    """The number of labelled images of each class that has any."""
    found, counts = torch.unique(labels[labels != UNLABELLED], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def named(counts: dict[int, int], classes: Sequence[str]) -> str:
    """Classes in words, the smallest first: "2 classes, 'lynx' (1), 'owl' (1)"; of many, only the first few."""
    some = sorted(counts, key=lambda label: (counts[label], label))[:NAMED]
    words = [f"{(classes[label] if label < len(classes) else str(label))!r} ({counts[label]:,})" for label in some]
    more = f" and {len(counts) - len(some):,} more" * (len(counts) > len(some))
    return f"{len(counts):,} class{'es' * (len(counts) != 1)}, {', '.join(words)}{more}"
