"""Which pictures to label next, from their representations: typical ones of clusters, or those that a probe is unsure of."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.neighbours import QUERIES

DIMENSIONS = 64  # principal components of h in which clusters are sought: less work than in 512
MOST_CLUSTERS = 500
SMALLEST = 5  # pictures in a cluster; a smaller one comes last
NEIGHBOURS = 20  # whose mean distance says how typical a picture is; at most half of its cluster
ROUNDS = 20  # of k-means
STRENGTH = 0.1  # scikit-learn's C for a few labels; the best of 0.001 to 1 for 50 to 500, on training images of CIFAR-10
Rows = NDArray[np.int64]


def typical(h: Tensor, labelled: Rows, *, n: int, seed: int) -> Rows:
    """The rows of n pictures that stand for many others, the most useful first (TypiClust, arXiv:2202.02794).

    h: (N, d) of all pictures; `labelled` are the rows with a label. There are as many clusters as there will be labels, at most
    500. The cluster with the fewest labels gives its most typical picture, the one with the smallest mean distance to its
    nearest neighbours in the cluster; of equal ones the largest. Fewer rows than n only if fewer have no label. k-means works
    on 64 principal components of standardised h.
    """
    points = _components(h)
    cluster = _clusters(points, min(len(labelled) + n, MOST_CLUSTERS, len(h)), seed)
    sizes = np.bincount(cluster)
    counts = np.bincount(cluster[labelled], minlength=len(sizes)).tolist()
    queue = [(size < SMALLEST, counts[place], -size, place) for place, size in enumerate(sizes.tolist()) if size]
    heapify(queue)
    taken, waiting, chosen = set(labelled.tolist()), dict[int, list[int]](), list[int]()
    while queue and len(chosen) < n:
        small, count, size, place = heappop(queue)
        if place not in waiting:
            members = _by_typicality(points, np.flatnonzero(cluster == place))
            waiting[place] = [row for row in members if row not in taken]
        if waiting[place]:
            chosen.append(waiting[place].pop(0))
            heappush(queue, (small, count + 1, size, place))
    return np.array(chosen, np.int64)


def unsure(h: Tensor, labelled: Rows, labels: Rows, *, n: int) -> Rows:
    """The rows of the n pictures that a logistic regression on the labels is least sure of, the least sure first.

    h: (N, d) of all pictures; `labels` are the classes of the rows `labelled`, of at least two kinds. Sure is who gives its
    first class a much higher probability than its second (margin sampling).
    """
    from sklearn.linear_model import LogisticRegression

    mean, std = standardisation(h)
    points = ((h - mean) / std).numpy()
    shares = np.sort(LogisticRegression(C=STRENGTH, max_iter=300).fit(points[labelled], labels).predict_proba(points), axis=1)
    margins = shares[:, -1] - shares[:, -2]
    margins[labelled] = np.inf
    return np.argsort(margins, kind="stable")[: min(n, len(h) - len(labelled))]


def _components(h: Tensor) -> Tensor:
    """The first principal components (N, 64) of standardised h, or all (N, d) if those are fewer."""
    mean, std = standardisation(h)
    points = (h - mean) / std
    _, axes = torch.linalg.eigh(points.mT @ points)  # in ascending order
    found: Tensor = points @ axes[:, -DIMENSIONS:]
    return found


def _clusters(points: Tensor, count: int, seed: int) -> Rows:
    from sklearn.cluster import KMeans

    found: Rows = KMeans(count, n_init=1, max_iter=ROUNDS, random_state=seed % 2**32).fit_predict(points.numpy())
    return found


def _by_typicality(points: Tensor, members: Rows) -> list[int]:
    """The rows of a cluster, the most typical first."""
    k = min(NEIGHBOURS, len(members) // 2)
    if k == 0:
        return list(members.tolist())
    own = points[members]
    near = [torch.cdist(some, own).topk(k + 1, largest=False).values[:, 1:].mean(1) for some in torch.split(own, QUERIES)]
    return list(members[torch.cat(near).argsort(stable=True).numpy()].tolist())
