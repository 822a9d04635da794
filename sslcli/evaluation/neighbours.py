"""Whom an encoder holds to be alike: the nearest images of a bank, by cosine of their representations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nearest(bank: Tensor, queries: Tensor, *, k: int) -> Tensor:
    """The places (M, k) in the bank (N, d) of what is nearest to each query (M, d) by cosine, the nearest first.

    k is at most N. Of equals any may come first.
    """
    bank = F.normalize(bank)
    parts = torch.split(F.normalize(queries), 1024)
    return torch.cat([(part @ bank.mT).topk(k, dim=1).indices for part in parts])


def share_of_class(neighbours: Tensor, bank_labels: Tensor, query_labels: Tensor) -> float:
    """The fraction of all neighbours, places (M, k) in the bank, whose label is their query's (M,)."""
    alike = bank_labels[neighbours] == query_labels[:, None]
    return int(alike.sum()) / alike.numel()
