"""arXiv:2105.04906, equations 1 to 6; s is divided by d and v by 2, as in the authors' program."""

from typing import Any

import torch
from torch import Tensor

from sslcli.methods.multi_view import representations
from tests.methods.literal_losses import columns, covariance, mean, of_pairs

VARIANTS = (
    {"invariance": 5.0, "variance": 7.0, "covariance": 2.0},
    {"views": 3, "projector_dim": 12},  # more dimensions than images
    {"views": 2, "small_views": 2},
)


def literal_vicreg(first: Tensor, second: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Of projections (B, d) of two views."""
    n, d = first.shape
    s = mean([((first[b] - second[b]) ** 2).sum() for b in range(n)]) / d

    def v(z: Tensor) -> Tensor:
        return mean([(1 - torch.sqrt(covariance(x, x, n - 1) + 1e-4)).clamp(min=0) for x in columns(z)])

    def c(z: Tensor) -> Tensor:
        x = columns(z)
        return sum(covariance(x[i], x[j], n - 1) ** 2 for i in range(d) for j in range(d) if i != j) / d  # type: ignore[return-value]

    terms = s, (v(first) + v(second)) / 2, c(first) + c(second)
    return sum(weight * term for weight, term in zip(weights, terms, strict=True))  # type: ignore[return-value]


def _over_views(loss: Any, method: Any, batch: Any) -> Tensor:
    """The mean distance over the pairs of views, and the mean of the other two terms over the views, of a loss of two."""
    z = list(method.project(representations(method.encoder, batch.views)).chunk(len(batch.views)))
    s, v, c = method.weights
    of_each = mean([loss(view, view, (0, v, c)) for view in z])
    distances: Tensor = mean([loss(*pair, (s, 0, 0)) for pair in of_pairs(z, method)])
    return distances + of_each


def literal(method: Any, batch: Any) -> Tensor:
    return _over_views(literal_vicreg, method, batch)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import VICRegLoss

    return _over_views(lambda a, b, weights: VICRegLoss(*weights)(a, b), method, batch)
