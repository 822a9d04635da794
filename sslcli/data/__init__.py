"""Data sets: labelled images in, one uint8 tensor out. This file imports no torch: it says what there is."""

from __future__ import annotations

DATASETS = {
    "cifar10": "sslcli.data.sets.torchvision_sets:cifar10",
    "cifar100": "sslcli.data.sets.torchvision_sets:cifar100",
    "stl10": "sslcli.data.sets.torchvision_sets:stl10",
    "svhn": "sslcli.data.sets.torchvision_sets:svhn",
    "fashion-mnist": "sslcli.data.sets.torchvision_sets:fashion_mnist",
    "flowers102": "sslcli.data.sets.torchvision_sets:flowers102",
    "eurosat": "sslcli.data.sets.torchvision_sets:eurosat",
    "pets": "sslcli.data.sets.torchvision_sets:pets",
    "shapes": "sslcli.data.sets.shapes:load",
    "patchwork": "sslcli.data.sets.patchwork:load",
}
"""Name to the function `load(data_dir: Path, *, download: bool) -> ImageData`."""

FOLDER = "folder:"
"""What a data set's name begins with that is a folder of pictures: folder:PATH."""

SIZES = {
    "cifar10": (50_000, 10_000, 32, 10),
    "cifar100": (50_000, 10_000, 32, 100),
    "stl10": (105_000, 8_000, 96, 10),
    "svhn": (73_257, 26_032, 32, 10),
    "fashion-mnist": (60_000, 10_000, 28, 10),
    "flowers102": (2_040, 6_149, 128, 102),
    "eurosat": (21_600, 5_400, 64, 10),
    "pets": (3_680, 3_669, 128, 37),
}
"""Of data sets that have to be fetched: training images, test images, pixels a side, classes.

The pictures of flowers102 and pets have many sizes and are decoded to squares of this side.
"""

WITHOUT_LABEL = {"stl10": 100_000}
"""How many of the training images have no label; they come last."""
