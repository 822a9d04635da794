"""Representations in two dimensions, to look at. Nothing is measured there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from sslcli.evaluation.linear import standardisation

COMPONENTS = 50
PERPLEXITY = 30.0  # the approximate number of neighbours of an image; van der Maaten and Hinton 2008 use 5 to 50


@dataclass(frozen=True)
class Map:
    """Places (N, 2), their perplexity, and the number of principal components that they were computed from."""

    points: NDArray[np.float64]
    perplexity: float
    components: int


def flatten(h: Tensor, *, seed: int) -> Map:
    """Standardised representations (N, d) on the CPU, N at least 4, reduced by PCA to 50 dimensions and by t-SNE to two.

    With few images the perplexity is a third of them. If all representations are equal, all places are.
    """
    mean, deviation = standardisation(h)
    standard = ((h - mean) / deviation).double().numpy()
    components, perplexity = min(COMPONENTS, *h.shape), min(PERPLEXITY, (len(h) - 1) / 3)
    if not standard.any():  # t-SNE would divide by their spread
        return Map(np.zeros((len(h), 2)), perplexity, components)
    reduced = PCA(components, random_state=seed).fit_transform(standard)
    if components == 1:
        reduced = np.hstack([reduced, np.zeros_like(reduced)])  # init="pca" needs two
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return Map(tsne.fit_transform(reduced).astype(np.float64), perplexity, components)
