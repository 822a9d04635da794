"""A queue of projections from earlier batches, the same on all processes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Queue(nn.Module):
    """The last `size` rows that were pushed: `rows` (size, d) of unit length, in a ring. It starts with random directions."""

    rows: Tensor
    next: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(size, dim)))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, rows: Tensor) -> None:
        """Replace the oldest rows by rows (B, d), in order. Several processes push gathered rows.

        The position of the next row stays on the device, so nothing waits for it.
        """
        size = len(self.rows)
        rows = rows[-size:]
        places = (self.next + torch.arange(len(rows), device=rows.device)) % size
        self.rows.index_copy_(0, places, rows.to(self.rows.dtype))
        self.next.copy_((self.next + len(rows)) % size)
