"""Images that stay in a file, for more of them than memory holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Stored:
    """Images (N, 3, H, W) uint8 of a memory-mapped file: `rows` (N,) of `pixels`, read when they are asked for.

    Indexed like a tensor, and then it is one, in memory.
    """

    device = torch.device("cpu")

    def __init__(self, pixels: Tensor, rows: Tensor) -> None:
        self.pixels, self.rows = pixels, rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, H, W)."""
        return torch.Size((len(self.rows), *self.pixels.shape[1:]))

    def __getitem__(self, index: Any) -> Tensor:
        return self.pixels[self.rows[index.cpu() if isinstance(index, Tensor) else index]]

    def chosen(self, rows: Tensor | slice) -> Stored:
        """Some of them, still in the file."""
        return Stored(self.pixels, self.rows[rows.cpu() if isinstance(rows, Tensor) else rows])


Images = Tensor | Stored
"""What is indexed by rows, and then a uint8 tensor (B, 3, H, W)."""


def chosen(images: Images, rows: Tensor | slice) -> Images:
    """Some of the images; what is in a file stays there."""
    return images[rows] if isinstance(images, Tensor) else images.chosen(rows)
