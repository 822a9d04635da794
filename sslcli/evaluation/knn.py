"""k nearest neighbours: how good a representation is, with nothing trained."""

from __future__ import annotations

import torch
from torch import Tensor

from sslcli.errors import StateError
from sslcli.evaluation.neighbours import nearest_with_cosines


def knn_votes(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, *, classes: int, k: int = 10, temperature: float | None = None
) -> Tensor:
    """The share (M, classes) of votes that queries (M, d) get from their k nearest of the bank (N, d), by cosine.

    Every vote counts the same, or with a temperature T exp(cosine / T) (Wu et al. 2018, arXiv:1805.01978). A StateError where
    there is nobody to vote.
    """
    if not len(bank):
        raise StateError("kNN: there are no labelled training images to vote")
    places, cosines = nearest_with_cosines(bank, queries, k=min(k, len(bank)))
    weights = torch.ones_like(cosines) if temperature is None else torch.softmax(cosines / temperature, dim=1)
    counts = torch.zeros(len(queries), classes, device=bank.device).scatter_add(1, bank_labels[places], weights)
    return counts / counts.sum(1, keepdim=True)


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, *, k: int = 10) -> float:
    """The fraction of queries (M, d) whose k nearest of the bank (N, d) vote for their label, each vote counting the same.

    Among equal counts the lowest label wins. A StateError where there are no queries, or nobody to vote.
    """
    if not len(queries):
        raise StateError("kNN: there are no images to classify, so there is no accuracy")
    votes = knn_votes(bank, bank_labels, queries, classes=1 + max(bank_labels.tolist(), default=0), k=k)
    return int((votes.argmax(1) == query_labels).sum()) / len(queries)
