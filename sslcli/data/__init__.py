"""Data sets: labelled images in, one uint8 tensor out. This file imports no torch: it says what there is."""

from __future__ import annotations

DATASETS = {
    "cifar10": "sslcli.data.cifar10:load",
    "shapes": "sslcli.data.shapes:load",
}
"""Name to the function `load(data_dir: Path, *, download: bool) -> ImageData`."""
