"""ImageData: the images and labels of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sslcli.data import size_of
from sslcli.data.batches import generator, hand_over
from sslcli.data.folder.entry import as_text
from sslcli.data.folder.manifest import Line
from sslcli.data.on_disk import Images, chosen
from sslcli.data.prepare import Fit
from sslcli.data.split import LEAST_LABELS, UNLABELLED, Split, class_counts, hold_to_labels, named, size_of_split, split
from sslcli.errors import StateError, UsageError


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Images (N, 3, H, W) uint8, labels (N,) int64 in [0, len(classes)) or, in training, UNLABELLED, all on one device.

    Images that stay in a file because there are many are on the CPU. `given_val` are the positions of the training images for
    validation, if the data say so. `size` is the side that an encoder sees (the centre of an image), if images are larger;
    `fit` is how pictures became square. If known, `moments` are mean and deviation, `content` is the fingerprint, and
    `manifest` lists the files.
    """

    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    classes: tuple[str, ...]
    given_val: Tensor | None = None
    size: int | None = None
    fit: Fit = "crop"
    moments: tuple[Tensor, Tensor] | None = None
    content: str | None = None
    manifest: tuple[Line, ...] = ()

    @property
    def image_size(self) -> int:
        """The side that an encoder sees, in pixels: at most the shorter side of an image."""
        return self.size or self.kept_size

    @property
    def kept_size(self) -> int:
        """The side of the stored squares, in pixels: that which an encoder sees, or a little more."""
        return min(self.train_images.shape[-2:])

    def files(self, part: str) -> list[str]:
        """The paths of the "train" or "test" images in their folder, as text; empty if they do not come from a folder."""
        tested = part == "test"
        found = [line.path for line in self.manifest if (line.part == "test") == tested and (line.label or not tested)]
        return [as_text(path) for path in found]

    def split(self, *, seed: int, label_fraction: float = 1.0) -> Split:
        """The labelled training images that train a classifier, and those that validate it; see `split`."""
        return split(self.train_labels, seed=seed, label_fraction=label_fraction, given_val=self.given_val)

    def size_of_split(self, label_fraction: float) -> int:
        """The number of images in both parts of a `split`, which is the same for every seed."""
        return size_of_split(self.counts, label_fraction=label_fraction, of_val=self.counts_given)

    @cached_property
    def counts(self) -> dict[int, int]:
        """The number of labelled training images of each class that has any."""
        return class_counts(self.train_labels)

    @cached_property
    def counts_given(self) -> dict[int, int] | None:
        """The number of labelled images of each class in the given validation part; None without one."""
        return None if self.given_val is None else class_counts(self.train_labels.cpu()[self.given_val.cpu()])

    @cached_property
    def untaught(self) -> list[int]:
        """The classes of the test images that no training image has."""
        return sorted(class_counts(self.test_labels).keys() - self.counts.keys())

    @cached_property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (3,) of the training images' channels, in [0, 1]; a StateError without images."""
        device = self.train_labels.device
        if self.moments is not None:
            return self.moments[0].to(device), self.moments[1].to(device)
        if not len(self.train_images):
            raise StateError("there are no training images to compute mean and deviation from")
        counts = torch.zeros(3, 256, dtype=torch.float64)
        for some in in_parts(self.train_images, 10_000):  # a channel of all images at once would copy a third of the data
            for channel, count in zip(some.cpu().unbind(1), counts, strict=True):
                count.add_(torch.bincount(channel.flatten(), minlength=256))
        values = torch.arange(256) / 255  # summed on the CPU: some devices have no float64
        share = counts / counts.sum(1, keepdim=True)
        mean = (share * values).sum(1)
        std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
        return mean.float().to(device), std.float().to(device)

    def normalise(self, images: Tensor) -> Tensor:
        """The centres of uint8 images as an encoder sees them: float32, each channel normalised to mean 0, deviation 1."""
        mean, std = self.normalisation
        return normalise(centre(images, self.image_size).to(mean.device), mean, std)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over images and labels: equal data have equal fingerprints."""
        if self.content is not None:
            return self.content
        digest = hashlib.sha256()
        for rows in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{tuple(rows.shape)}".encode())
            for part in in_parts(rows, len(rows)) if isinstance(rows, Tensor) else in_parts(rows, 1000):
                digest.update(part.cpu().contiguous().view(-1).numpy().data)  # without a copy, which would double the memory
        return digest.hexdigest()

    def to(self, device: torch.device) -> ImageData:
        """The same data on `device`, so that views are made where the encoder runs. Images in a file stay there."""
        if device == self.train_labels.device:
            return self
        names = ("train_images", "train_labels", "test_images", "test_labels")
        kept = {name: getattr(self, name) for name in names}
        moved: dict[str, Any] = {name: value.to(device) for name, value in kept.items() if isinstance(value, Tensor)}
        return replace(self, **moved)

    def first(self, count: int) -> ImageData:
        """Only the first `count` training and test images."""
        some = slice(count)
        given = self.given_val[self.given_val < count] if self.given_val is not None else None
        given = given if given is not None and len(given) else None
        return replace(
            self, train_images=chosen(self.train_images, some), train_labels=self.train_labels[some],
            test_images=chosen(self.test_images, some), test_labels=self.test_labels[some], given_val=given, content=None,
        )  # fmt: skip


def label_name(classes: Sequence[str], label: int) -> str:
    """The name of a label."""
    return classes[label] if label >= 0 else "no label"


def random_data(name: str) -> ImageData:
    """Random images and labels in the number and size of a downloaded data set: a training on them takes the same time."""
    size = size_of(name)
    random = generator(0, "random", name)

    def drawn(count: int) -> tuple[Tensor, Tensor]:
        pixels = torch.randint(0, 256, (count, 3, size.side, size.side), generator=random, dtype=torch.uint8)
        return pixels, torch.arange(count) % size.classes

    (train_images, train_labels), (test_images, test_labels) = drawn(size.train), drawn(size.test)
    train_labels[size.train - size.unlabelled :] = UNLABELLED
    return ImageData(
        train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels,
        classes=tuple(map(str, range(size.classes))),
    )  # fmt: skip


def in_parts(rows: Images, count: int) -> Iterator[Tensor]:
    """All rows in order, `count` at a time."""
    yield from (rows[begin : begin + count] for begin in range(0, len(rows), max(1, count)))


def centre(images: Tensor, side: int) -> Tensor:
    """The central squares (side in pixels) of images (N, 3, H, W), which are at least that large."""
    top, left = ((length - side) // 2 for length in images.shape[-2:])
    return images[..., top : top + side, left : left + side] if (top or left) else images


def pick(images: Images, rows: Tensor, device: torch.device) -> Tensor:
    """The images at `rows` (B,), on `device`, wherever both are stored. (cuda without a number is cuda:0.)"""
    there = images[rows if rows.device.type == images.device.type else hand_over(rows, images.device)]
    return there if there.device.type == device.type else hand_over(there, device)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) to float32: (image / 255 - mean) / std, mean and std (3,)."""
    return (images.float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def enough_labels(data: ImageData, label_fraction: float, *, dataset: str) -> None:
    """A UsageError if this fraction of the labels is too small to train, choose and test a classifier."""
    _need_labels(data, dataset=dataset)
    _need_lessons(data, dataset=dataset)
    hold_to_labels(data.counts, label_fraction=label_fraction, dataset=dataset, classes=data.classes)


def _need_lessons(data: ImageData, *, dataset: str) -> None:
    """A UsageError for classes that are in the test part but have no training picture."""
    if untaught := data.untaught:
        names = ", ".join(repr(data.classes[label]) for label in untaught[:5]) + ", …" * (len(untaught) > 5)
        words = f"class {names} is" if len(untaught) == 1 else f"classes {names} are"
        raise UsageError(f"{dataset}: {words} only in the test part; add training pictures")


def _need_labels(data: ImageData, *, dataset: str) -> None:
    """A UsageError if there is nothing to train a classifier on, or nothing to test it on."""
    counts = data.counts
    if not counts or not len(data.test_labels):
        missing = "test images" if counts else "labels"
        raise UsageError(
            f"{dataset} has no {missing}: accepted is a folder with a sub-folder for each class (inside train and test, or "
            "without them), or --labels FILE.csv with lines of path,label or path,label,split"
        )
    if len(counts) < 2:
        (only,) = counts
        known = f"all labelled training images are of one class, {data.classes[only]!r}"
        raise UsageError(f"{dataset}: {known}; at least two classes are needed")
    val = data.counts_given if data.counts_given is not None else counts
    train = {label: count for label, count in counts.items() if val is counts or count > val.get(label, 0)}
    for part, words in ((train, "training"), (val, "validation")):
        if without := dict.fromkeys(counts.keys() - part.keys(), 0):
            raise UsageError(
                f"{dataset}: no {words} image: {named(without, data.classes)}; each class needs one in train and one in val"
            )
    few = {label: count for label, count in counts.items() if count < LEAST_LABELS}
    if few:
        raise UsageError(
            f"{dataset}: too few labelled images outside the test part: {named(few, data.classes)}; each class needs "
            f"{LEAST_LABELS}, one for training and one for validation: add some, or leave the class out"
        )
