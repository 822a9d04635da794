"""Data sets: labelled images in, one uint8 tensor out. This file imports no torch: it says what there is."""

from __future__ import annotations

DATASETS = {
    "cifar10": "sslcli.data.cifar10:load",
    "shapes": "sslcli.data.shapes:load",
}
"""Name to the function `load(data_dir: Path, *, download: bool) -> ImageData`."""

FOLDER = "folder:"
"""What a data set's name begins with that is a folder of pictures: folder:PATH."""

SIZES = {"cifar10": (50_000, 10_000, 32, 10)}
"""Of data sets that have to be fetched: training images, test images, pixels a side, classes."""
