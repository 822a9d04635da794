"""k nearest neighbours: the quality of a representation, without training."""

from __future__ import annotations

import torch
from torch import Tensor

from sslcli.errors import StateError
from sslcli.evaluation.neighbours import nearest_with_cosines


def knn_votes(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, *, classes: int, k: int = 10, temperature: float | None = None
) -> Tensor:
    """The shares (M, classes) of the votes for queries (M, d) from their k nearest of the bank (N, d), by cosine.

    Every vote has the same weight, or with a temperature T the weight exp(cosine / T) (Wu et al. 2018, arXiv:1805.01978). A
    StateError if the bank is empty.
    """
    if not len(bank):
        raise StateError("kNN: there are no labelled training images to vote")
    places, cosines = nearest_with_cosines(bank, queries, k=min(k, len(bank)))
    weights = torch.ones_like(cosines) if temperature is None else torch.softmax(cosines / temperature, dim=1)
    counts = torch.zeros(len(queries), classes, device=bank.device).scatter_add(1, bank_labels[places], weights)
    return counts / counts.sum(1, keepdim=True)


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, *, k: int = 10) -> float:
    """The fraction of queries (M, d) whose k nearest of the bank (N, d) vote for their label, with equal weights.

    If counts are equal, the lowest label wins. A StateError if there are no queries, or the bank is empty.
    """
    if not len(queries):
        raise StateError("kNN: there are no images to classify, so there is no accuracy")
    votes = knn_votes(bank, bank_labels, queries, classes=1 + max(bank_labels.tolist(), default=0), k=k)
    return int((votes.argmax(1) == query_labels).sum()) / len(queries)
