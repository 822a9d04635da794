"""Folds: parts of the labelled images, of which each is tested once by a classifier trained on the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.data.on_disk import Images
from sslcli.data.split import LEAST_LABELS, class_counts, named
from sslcli.errors import UsageError

Key = TypeVar("Key", bound=Hashable)


def folds_of(labels: Tensor, copies: Sequence[int], *, folds: int, seed: int) -> Tensor:
    """The fold (N,) of each image, from 0: stratified by class, drawn by seed, with all copies of a picture in one fold.

    `labels` (N,) are of labelled images; `copies` has the same number for images of the same picture.
    """
    of_copy: dict[int, list[int]] = {}
    for place, number in enumerate(copies):
        of_copy.setdefault(number, []).append(place)
    firsts = torch.tensor([places[0] for places in of_copy.values()])
    draws = torch.rand(len(firsts), generator=generator(seed, "folds"))
    found, count = torch.zeros(len(labels), dtype=torch.int64), 0
    for label in torch.unique(labels).tolist():
        members = (labels[firsts] == label).nonzero().flatten()
        for member in members[draws[members].argsort()].tolist():
            found[of_copy[copies[int(firsts[member])]]] = count % folds
            count += 1  # over all classes, so that folds are about equally large
    return found


def hold_to_folds(labels: Tensor, fold: Tensor, *, folds: int, classes: Sequence[str]) -> None:
    """A UsageError if a fold is empty, or the others have too few images of a class to train and validate on."""
    if len(torch.unique(fold)) < folds:
        raise UsageError(f"--folds {folds}: accepted is at most the number of labelled pictures without copies, {len(fold)}")
    wanted = class_counts(labels)
    for number in range(folds):
        rest = dict.fromkeys(wanted, 0) | class_counts(labels[fold != number])
        if few := {label: count for label, count in rest.items() if count < LEAST_LABELS}:
            raise UsageError(
                f"--folds {folds}: outside one fold too few pictures are left of {named(few, classes)}; each class needs "
                f"{LEAST_LABELS} there, one for training and one for validation: label more, or leave the class out"
            )


def exact_copies(images: Iterable[Tensor]) -> list[int]:
    """For each uint8 image the number of its picture: equal for images of equal bytes."""
    numbers: dict[bytes, int] = {}
    digests = (hashlib.sha256(image.cpu().contiguous().numpy().data).digest() for image in images)
    return [numbers.setdefault(digest, len(numbers)) for digest in digests]


def joined(links: Iterable[tuple[Key, Key]]) -> Callable[[Key], Key]:
    """The function that gives all that links join, directly or through others, the same one of them."""
    above: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while (next_one := above.get(key, key)) != key:
            above[key] = above.get(next_one, next_one)  # halves the way, so that no chain of links gets long
            key = above[key]
        return key

    for one, other in links:
        above[root(one)] = root(other)
    return root


def each(images: Images, rows: Tensor) -> Iterable[Tensor]:
    """The images at these rows, one after the other."""
    return (images[row : row + 1] for row in rows.tolist())
