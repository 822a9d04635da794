"""Whom an encoder holds to be alike: the nearest images of a bank, by cosine of their representations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.errors import StateError

QUERIES = 1024  # at once


def nearest(bank: Tensor, queries: Tensor, *, k: int) -> Tensor:
    """The places (M, k) in the bank (N, d) of what is nearest to each query (M, d) by cosine, the nearest first.

    k is at most N. Of equals any may come first.
    """
    return nearest_with_cosines(bank, queries, k=k)[0]


def nearest_with_cosines(bank: Tensor, queries: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """What `nearest` gives, and the cosines (M, k)."""
    bank = F.normalize(bank)
    found = [(part @ bank.mT).topk(k, dim=1) for part in torch.split(F.normalize(queries), QUERIES)]
    return torch.cat([part.indices for part in found]), torch.cat([part.values for part in found])


def share_of_class(neighbours: Tensor, bank_labels: Tensor, query_labels: Tensor) -> float:
    """The fraction of all neighbours, places (M, k) in the bank, whose label is their query's (M,).

    A StateError if there are none.
    """
    if not neighbours.numel():
        raise StateError("there are no neighbours, so there is no share of them")
    alike = bank_labels[neighbours] == query_labels[:, None]
    return int(alike.sum()) / alike.numel()
