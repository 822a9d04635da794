"""Images unlike any that was trained on: the score by nearest neighbours, and how well a score tells two sets apart."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sslcli.errors import StateError
from sslcli.evaluation.neighbours import nearest_with_cosines
from sslcli.evaluation.statistics import Difference, t_quantile

K = 10  # the neighbour that counts, as in kNN accuracy
Scores = NDArray[np.float64] | NDArray[np.float32]


def knn_distance(bank: Tensor, queries: Tensor, *, k: int = K) -> Tensor:
    """1 minus the cosine (M,) of each query (M, d) and its k-th nearest of the bank (N, d) (Sun et al. 2022, arXiv 2204.06507).

    With fewer than k in the bank, the farthest counts. A StateError if the bank is empty.
    """
    if not len(bank):
        raise StateError("there are no training images to measure a distance from")
    return 1 - nearest_with_cosines(bank, queries, k=min(k, len(bank)))[1][:, -1]


def auroc(inside: Scores, outside: Scores) -> float:
    """The probability that a random one of `outside` (n,) scores higher than one of `inside` (m,); equal scores count half.

    A StateError if one of them is empty.
    """
    return float(_placements(inside, outside)[1].mean())


def _placements(inside: Scores, outside: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each inside the share of outside that is higher, and for each outside the share of inside that is lower."""
    if not len(inside) or not len(outside):
        raise StateError("there are no images in one of two sets, so nothing can be told apart")

    def below(scores: Scores, others: Scores) -> NDArray[np.float64]:
        ordered = np.sort(others)
        ends = [np.searchsorted(ordered, scores, side) for side in ("left", "right")]
        found: NDArray[np.float64] = (ends[0] + ends[1]) / 2 / len(others)
        return found

    return 1 - below(inside, outside), below(outside, inside)


def auroc_difference(first: tuple[Scores, Scores], second: tuple[Scores, Scores]) -> Difference:
    """The first AUROC minus the second, each of scores (inside, outside) for the same images, with its 95 % interval.

    The variance is DeLong's (1988, Biometrics 44): that over inside images plus that over outside images.
    """
    apart = [a - b for a, b in zip(_placements(*first), _placements(*second), strict=True)]
    value, counts = float(apart[1].mean()), [len(of) for of in apart]
    if min(counts) < 2:
        return Difference(value, -1.0, 1.0)  # a variance over one image is unknown
    half = t_quantile(min(counts) - 1) * sqrt(sum(float(of.var(ddof=1)) / len(of) for of in apart))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half))
