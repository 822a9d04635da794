"""The representations of a data set by a frozen encoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Represented:
    """Representations (N, dim), not standardised, with labels (N,): of training, validation and test images.

    `rows` are the training images' positions in the data set; `mean` and `std` (dim,) are those of the training images' h.
    """

    train: Tensor
    train_labels: Tensor
    val: Tensor
    val_labels: Tensor
    test: Tensor
    test_labels: Tensor
    rows: Tensor
    mean: Tensor
    std: Tensor
    classes: int

    def standardised(self, h: Tensor) -> Tensor:
        """h with mean 0 and deviation 1 over the training images."""
        return (h - self.mean) / self.std
