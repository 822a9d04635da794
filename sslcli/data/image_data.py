"""What a data set is, and how its training images are split."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from sslcli.data import DATASETS, SIZES, UNLABELLED
from sslcli.data.batches import generator
from sslcli.errors import UsageError

LEAST_LABELS = 2  # labelled images of a class, training and held out together


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Images (N, 3, H, W) uint8, labels (N,) int64 in [0, len(classes)), all on one device.

    A training image without a label has -1.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    @property
    def image_size(self) -> int:
        """The shorter side, in pixels."""
        return min(self.train_images.shape[-2:])

    @cached_property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (3,) of the training images' channels, of values in [0, 1]."""
        counts = torch.zeros(3, 256, dtype=torch.float64)
        for some in torch.split(self.train_images.cpu(), 10_000):  # of all at once a channel would be a copy of a third
            for channel, count in zip(some.unbind(1), counts, strict=True):
                count.add_(torch.bincount(channel.flatten(), minlength=256))
        values, device = torch.arange(256) / 255, self.train_images.device  # sums on the CPU: some devices have no float64
        share = counts / counts.sum(1, keepdim=True)
        mean = (share * values).sum(1)
        std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
        return mean.float().to(device), std.float().to(device)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images to float32, each channel brought to mean 0 and deviation 1 over the training images."""
        return normalise(images, *self.normalisation)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over images and labels: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().view(-1).numpy().data)  # in place: a copy would double the memory
        return digest.hexdigest()

    def to(self, device: torch.device) -> ImageData:
        """The same data on `device`, so that views are made where the encoder runs."""
        if device == self.train_images.device:
            return self
        return ImageData(
            train_images=self.train_images.to(device),
            train_labels=self.train_labels.to(device),
            test_images=self.test_images.to(device),
            test_labels=self.test_labels.to(device),
            classes=self.classes,
        )

    def first(self, count: int) -> ImageData:
        """The first `count` training and test images alone."""
        return ImageData(
            train_images=self.train_images[:count],
            train_labels=self.train_labels[:count],
            test_images=self.test_images[:count],
            test_labels=self.test_labels[:count],
            classes=self.classes,
        )


def label_name(classes: Sequence[str], label: int) -> str:
    """A label in words."""
    return classes[label] if label >= 0 else "no label"


def random_data(name: str) -> ImageData:
    """Random images and labels of the number and size of a data set in SIZES: a training on them costs the same."""
    train, test, side, classes = SIZES[name]
    random = generator(0, "random", name)

    def drawn(count: int) -> tuple[Tensor, Tensor]:
        pixels = torch.randint(0, 256, (count, 3, side, side), generator=random, dtype=torch.uint8)
        return pixels, torch.arange(count) % classes

    (train_images, train_labels), (test_images, test_labels) = drawn(train), drawn(test)
    train_labels[train - UNLABELLED.get(name, 0) :] = -1
    return ImageData(
        train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels,
        classes=tuple(map(str, range(classes))),
    )  # fmt: skip


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) to float32: (image / 255 - mean) / std, mean and std (3,)."""
    return (images.float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def load_data(name: str, data_dir: Path, *, download: bool = False) -> ImageData:
    """Load a data set of DATASETS; what is missing or damaged is a StateError that says where it was looked for."""
    module, _, function = DATASETS[name].partition(":")
    data: ImageData = getattr(importlib.import_module(module), function)(data_dir, download=download)
    return data


@dataclass(frozen=True)
class Split:
    """Indices into the training images: those that train a classifier, and those that every choice is made on."""

    train: Tensor
    val: Tensor


def split(labels: Tensor, *, seed: int, val_fraction: float = 0.1, label_fraction: float = 1.0) -> Split:
    """Split the training images by class and seed: `val_fraction` of each class is held out for choices.

    `label_fraction` of both parts keeps its labels, at least one image of each class: who has few labels has few to choose
    by. Subsets of one seed are nested: what 1 % holds, 10 % holds too.
    """
    labels = labels.cpu()
    draws = torch.rand(len(labels), generator=generator(seed, "split"))
    train: list[Tensor] = []
    val: list[Tensor] = []
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        members = members[draws[members].argsort()]
        held_out = max(1, round(val_fraction * len(members)))
        for part, of_class in ((val, members[:held_out]), (train, members[held_out:])):
            part.append(of_class[: max(1, round(label_fraction * len(of_class)))])
    return Split(torch.cat(train).sort().values, torch.cat(val).sort().values)


def hold_to_labels(labels: Tensor, *, label_fraction: float, dataset: str) -> None:
    """A UsageError where `split` would take more labels than were asked for.

    Each class needs one image to train and one to choose by.
    """
    smallest = int(torch.unique(labels, return_counts=True)[1].min())
    if label_fraction == 1 or label_fraction * smallest >= LEAST_LABELS:
        return
    least = min(1.0, math.ceil(LEAST_LABELS / smallest * 1e6) / 1e6)
    raise UsageError(
        f"--label-fraction {label_fraction:g}: of the smallest class of {dataset} that is {label_fraction * smallest:.2g} of "
        f"its {smallest:,} training images, and {LEAST_LABELS} are needed, one to train and one to choose by; "
        f"accepted is {least:g} to 1"
    )
