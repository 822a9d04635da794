"""CIFAR-10 (Krizhevsky 2009), the python version: 50,000 training and 10,000 test images of 32x32 pixels."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from sslcli.data.image_data import ImageData
from sslcli.errors import StateError


def load(data_dir: Path, *, download: bool) -> ImageData:
    """Read <data_dir>/cifar-10-batches-py, every file's checksum verified before it is opened."""
    folder = data_dir / CIFAR10.base_folder
    files = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    missing = [name for name, _ in files if not (folder / name).is_file()]
    if download and missing:
        try:
            CIFAR10(str(data_dir), download=True)
        except (RuntimeError, OSError) as error:
            raise StateError(f"CIFAR-10 could not be downloaded to {data_dir.resolve()}: {error}") from error
    elif missing:
        raise StateError(
            f"CIFAR-10 is not in {folder.resolve()}: {', '.join(missing[:3])}{' …' * (len(missing) > 3)} missing. Name the "
            "folder that holds cifar-10-batches-py with --data-dir DIR, or have it downloaded (170 MB): add --download"
        )
    damaged = [name for name, md5 in files if not check_integrity(str(folder / name), md5)]
    if damaged:
        raise StateError(
            f"{folder.resolve()}: {', '.join(damaged)} damaged or not the official file (its checksum is another); "
            "delete it and add --download"
        )
    train, test = CIFAR10(str(data_dir), train=True), CIFAR10(str(data_dir), train=False)
    return ImageData(
        train_images=torch.from_numpy(train.data).permute(0, 3, 1, 2).contiguous(),
        train_labels=torch.tensor(train.targets),
        test_images=torch.from_numpy(test.data).permute(0, 3, 1, 2).contiguous(),
        test_labels=torch.tensor(test.targets),
        classes=tuple(train.classes),
    )
