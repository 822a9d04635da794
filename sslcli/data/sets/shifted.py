"""Test sets of others that show the classes of CIFAR in other pictures, where their files lie in the folder of data sets.

CIFAR-10-C and CIFAR-100-C (Hendrycks and Dietterich 2019, arXiv 1903.12261), CIFAR-10.1 version 6 (Recht et al. 2018, arXiv
1806.00451), and the test part of CINIC-10 (Darlow et al. 2018, arXiv 1810.03505). Nothing here is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.data.sets.torchvision_sets import central_square
from sslcli.errors import StateError

ARCHIVES = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""The folder of each data set's corrupted test images."""
Labelled = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) uint8 and labels (N,) int64."""
DAMAGE = (OSError, ValueError, EOFError)
"""The errors of numpy and Pillow for damaged or foreign files."""


@dataclass(frozen=True)
class Archive:
    """The corrupted test images of a data set with `count` test images: a file for each corruption, severities in turn."""

    folder: Path
    count: int

    def images(self, name: str, *, severity: int, rows: Tensor) -> Tensor:
        """The test images at `rows` (n,) with a corruption: (n, 3, S, S) uint8. A StateError if its file is not whole."""
        file = self.folder / f"{name}.npy"
        stored = _array(file)
        if stored.ndim != 4 or len(stored) != 5 * self.count or stored.shape[3] != 3 or stored.dtype != np.uint8:
            found = f"{stored.dtype} {stored.shape}"
            raise StateError(f"{file} is not whole: it holds {found}; accepted is uint8 ({5 * self.count}, side, side, 3)")
        return _channels_first(stored[rows.numpy() + (severity - 1) * self.count])


def corrupted_archive(dataset: str, data_dir: Path, labels: Tensor) -> Archive | None:
    """The archive of a data set with these test labels; None if it does not lie there.

    A StateError if its labels are others: it would be of other images.
    """
    folder = data_dir / ARCHIVES.get(dataset, "")
    if dataset not in ARCHIVES or not folder.is_dir():
        return None
    stored = _array(folder / "labels.npy")
    if not np.array_equal(stored[: len(labels)], labels.cpu().numpy()):
        raise StateError(f"{folder / 'labels.npy'} does not hold the labels of the {len(labels):,} test images of {dataset}")
    return Archive(folder, len(labels))


def _cifar10_1(data_dir: Path, classes: Sequence[str], count: int, seed: int) -> Labelled | None:
    folder = data_dir / "CIFAR-10.1"
    if not folder.is_dir():
        return None
    stored, labels = (_array(folder / f"cifar10.1_v6_{part}.npy") for part in ("data", "labels"))
    if stored.ndim != 4 or len(stored) != len(labels) or not set(labels.tolist()) <= set(range(len(classes))):
        raise StateError(f"{folder} is not whole: it holds {stored.shape} images and {len(labels)} labels")
    rows = _drawn(len(labels), count, seed)
    return _channels_first(stored[rows.numpy()]), torch.from_numpy(labels.astype(np.int64))[rows]


def _cinic10(data_dir: Path, classes: Sequence[str], count: int, seed: int) -> Labelled | None:
    """Only what came from ImageNet: two ninths of CINIC-10 are CIFAR-10's own images."""
    folder = data_dir / "CINIC-10" / "test"
    if not folder.is_dir():
        return None
    if missing := [name for name in classes if not (folder / name).is_dir()]:
        raise StateError(f"{folder} is not whole: there is no folder {', '.join(missing)}")
    found = [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).glob("*.png"))]
    others = [(path, label) for path, label in found if not path.name.startswith("cifar10-")]
    some = [others[row] for row in _drawn(len(others), count, seed).tolist()]
    try:
        pixels = np.stack([central_square(path, 32) for path, _ in some])
    except DAMAGE as error:
        raise StateError(f"{folder} is not whole: {error}") from error
    return _channels_first(pixels), torch.tensor([label for _, label in some])


SHIFTED: dict[str, dict[str, Callable[[Path, Sequence[str], int, int], Labelled | None]]] = {
    "cifar10": {"CIFAR-10.1": _cifar10_1, "CINIC-10": _cinic10},
}
"""For each data set the test sets of other pictures of its classes: read(data_dir, classes, count, seed)."""


def _drawn(total: int, count: int, seed: int) -> Tensor:
    return torch.randperm(total, generator=generator(seed, "shifted"))[:count]


def _array(file: Path) -> Any:
    """The array of a .npy file, read on demand; a StateError if it is missing or damaged."""
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StateError(f"{file} is missing; the other files of {file.parent.name} are there") from None
    except DAMAGE as error:
        raise StateError(f"{file} is damaged: {error}") from error


def _channels_first(pixels: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
