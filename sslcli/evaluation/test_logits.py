"""The test logits that an evaluation saves, so that every metric can be recomputed. Imports no torch."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslcli.errors import StateError
from sslcli.files import atomic_write

FILE = "test_logits.npz"
IN_FOLDS = "folds_logits.npz"
"""All labelled images' logits, each by the classifier of the folds in which it is not. Positions of test images come after
those of all training images."""
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error)
"""The errors of numpy and zipfile for a damaged or foreign file."""


@dataclass(frozen=True)
class Kept:
    """Logits (N, classes) float32, true classes (N,) int64, and the images' positions (N,) int64 in the test set.

    For kNN the logits are the logarithms of the shares of votes.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each image's class has the largest logit; of equal logits the first counts."""
        found: NDArray[np.bool_] = self.logits.argmax(1) == self.labels
        return found


def keep(path: Path, kept: Kept) -> None:
    """Write the file, whole or not at all."""
    atomic_write(path, lambda file: np.savez_compressed(file, **vars(kept)))


def read_kept(path: Path) -> Kept:
    """Read the file of `keep`; a StateError if it is missing, damaged, or another kind of file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = Kept(**{name: arrays[name] for name in Kept.__dataclass_fields__})
    except FileNotFoundError:
        raise StateError(f"{path} is missing: the run has no test logits, or they were deleted") from None
    except DAMAGE as error:
        raise StateError(f"{path} is damaged: {error}") from error
    images = len(found.logits)
    if found.logits.ndim != 2 or found.labels.shape != (images,) or found.indices.shape != (images,):
        raise StateError(f"{path} is damaged: its arrays differ in length")
    return found


def figures_in_folds(kept: Kept) -> dict[str, float]:
    """The metrics from the logits of the folds."""
    return {"folds_acc": int(kept.right.sum()) / len(kept.labels), "folds_images": len(kept.labels)}
