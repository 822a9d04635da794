"""The nearest images of a bank, by the cosine of their representations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.errors import StateError

QUERIES = 1024  # at once


def nearest(bank: Tensor, queries: Tensor, *, k: int) -> Tensor:
    """The positions (M, k) in the bank (N, d) that are nearest to each query (M, d) by cosine, the nearest first.

    k is at most N. Equal ones may come in any order.
    """
    return nearest_with_cosines(bank, queries, k=k)[0]


def nearest_with_cosines(bank: Tensor, queries: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The positions of `nearest`, and the cosines (M, k)."""
    bank = F.normalize(bank)
    return nearest_of_unit(bank, queries, k=k)


def nearest_of_unit(bank: Tensor, queries: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The same for a bank whose rows have length 1 already: for one bank and many queries in turn."""
    found = [(part @ bank.mT).topk(k, dim=1) for part in torch.split(F.normalize(queries), QUERIES)]
    return torch.cat([part.indices for part in found]), torch.cat([part.values for part in found])


def share_of_class(neighbours: Tensor, bank_labels: Tensor, query_labels: Tensor) -> float:
    """The fraction of neighbours (positions (M, k) in the bank) that have the label of their query (M,).

    A StateError if there are none.
    """
    if not neighbours.numel():
        raise StateError("there are no neighbours, so there is no share of them")
    alike = bank_labels[neighbours] == query_labels[:, None]
    return int(alike.sum()) / alike.numel()
