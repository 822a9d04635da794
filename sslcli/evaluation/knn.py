"""k nearest neighbours: how good a representation is, with nothing trained."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, *, k: int = 10) -> float:
    """The fraction of queries (M, d) whose k nearest of the bank (N, d), by cosine, vote for their label.

    Every vote counts the same; among equal counts the lowest label wins.
    """
    bank = F.normalize(bank)
    right = 0
    for start in range(0, len(queries), 1024):
        similarity = F.normalize(queries[start : start + 1024]) @ bank.mT
        votes = bank_labels[similarity.topk(min(k, len(bank)), dim=1).indices]
        counts = F.one_hot(votes, int(bank_labels.max()) + 1).sum(1)
        right += int((counts.argmax(1) == query_labels[start : start + 1024]).sum())
    return right / len(queries)
