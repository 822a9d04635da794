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
    images are made on the spot. `paper` is what to cite.
    """

    load: str
    size: Size | None = None
    paper: str = ""


CIFAR = "CIFAR: learning multiple layers of features from tiny images (Krizhevsky 2009)."
STL10 = "STL-10: an analysis of single-layer networks in unsupervised feature learning (Coates, Ng and Lee 2011)."
SVHN = "SVHN: reading digits in natural images with unsupervised feature learning (Netzer et al. 2011)."
FASHION = "Fashion-MNIST: an image data set for benchmarking machine learning algorithms (Xiao et al. 2017, arXiv:1708.07747)."
FLOWERS = "102 flowers: automated flower classification over a large number of classes (Nilsback and Zisserman 2008)."
EUROSAT = "EuroSAT: land use and land cover classification from satellite images (Helber et al. 2019, arXiv:1709.00029)."
PETS = "The Oxford pets: cats and dogs (Parkhi, Vedaldi, Zisserman and Jawahar 2012)."
DATASETS = {
    "cifar10": DataSet("sslcli.data.sets.torchvision_sets:cifar10", Size(50_000, 10_000, 32, 10), CIFAR),
    "cifar100": DataSet("sslcli.data.sets.torchvision_sets:cifar100", Size(50_000, 10_000, 32, 100), CIFAR),
    "stl10": DataSet("sslcli.data.sets.torchvision_sets:stl10", Size(105_000, 8_000, 96, 10, unlabelled=100_000), STL10),
    "svhn": DataSet("sslcli.data.sets.torchvision_sets:svhn", Size(73_257, 26_032, 32, 10), SVHN),
    "fashion-mnist": DataSet("sslcli.data.sets.torchvision_sets:fashion_mnist", Size(60_000, 10_000, 28, 10), FASHION),
    "flowers102": DataSet("sslcli.data.sets.torchvision_sets:flowers102", Size(2_040, 6_149, 128, 102), FLOWERS),
    "eurosat": DataSet("sslcli.data.sets.torchvision_sets:eurosat", Size(21_600, 5_400, 64, 10), EUROSAT),
    "pets": DataSet("sslcli.data.sets.torchvision_sets:pets", Size(3_680, 3_669, 128, 37), PETS),
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
