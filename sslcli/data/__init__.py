"""Data sets: labelled images in, one uint8 tensor out. This file imports no torch: it says what there is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The size of a data set that has to be downloaded: training and test images, side in pixels, classes.

    `unlabelled` training images have no label; they come last. Pictures of many sizes are decoded to squares of `side`.
    """

    train: int
    test: int
    side: int
    classes: int
    unlabelled: int = 0


@dataclass(frozen=True)
class DataSet:
    """`load` is "module:name" of the function `load(data_dir: Path, *, download: bool) -> ImageData`.

    With `size`, `ssl bench` can time trainings on a missing data set; the files are also checked against it. None: the
    images are made on the spot.
    """

    load: str
    size: Size | None = None


DATASETS = {
    "cifar10": DataSet("sslcli.data.sets.torchvision_sets:cifar10", Size(50_000, 10_000, 32, 10)),
    "cifar100": DataSet("sslcli.data.sets.torchvision_sets:cifar100", Size(50_000, 10_000, 32, 100)),
    "stl10": DataSet("sslcli.data.sets.torchvision_sets:stl10", Size(105_000, 8_000, 96, 10, unlabelled=100_000)),
    "svhn": DataSet("sslcli.data.sets.torchvision_sets:svhn", Size(73_257, 26_032, 32, 10)),
    "fashion-mnist": DataSet("sslcli.data.sets.torchvision_sets:fashion_mnist", Size(60_000, 10_000, 28, 10)),
    "flowers102": DataSet("sslcli.data.sets.torchvision_sets:flowers102", Size(2_040, 6_149, 128, 102)),
    "eurosat": DataSet("sslcli.data.sets.torchvision_sets:eurosat", Size(21_600, 5_400, 64, 10)),
    "pets": DataSet("sslcli.data.sets.torchvision_sets:pets", Size(3_680, 3_669, 128, 37)),
    "shapes": DataSet("sslcli.data.sets.shapes:load"),
    "patchwork": DataSet("sslcli.data.sets.patchwork:load"),
}
"""Every data set by name, one line each, in the order in which they are shown."""

FOLDER = "folder:"
"""The prefix of a data set that is a folder of pictures: folder:PATH."""


def size_of(name: str) -> Size:
    """The size of a data set that has to be downloaded; a TypeError for one that is made on the spot."""
    if (size := DATASETS[name].size) is None:
        raise TypeError(f"{name} is made on the spot, and has no size in the table")
    return size
