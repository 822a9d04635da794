"""arXiv:2103.03230, equations 1 and 2; of more than two views the mean over their pairs."""

from typing import Any

import torch
from torch import Tensor

from tests.methods.literal_losses import columns, covariance, mean, of_pairs

VARIANTS = ({"views": 3, "redundancy": 0.2},)
EPSILON = 1e-5  # of batch norm, which the authors normalise with


def literal_barlow_twins(first: Tensor, second: Tensor, redundancy: float) -> Tensor:
    """Of projections (B, d) before they are normalised."""
    a, b = columns(first), columns(second)
    loss = torch.zeros((), dtype=first.dtype)
    for i in range(len(a)):
        for j in range(len(b)):
            spread = [torch.sqrt(covariance(x, x, len(x)) + EPSILON) for x in (a[i], b[j])]
            c = covariance(a[i], b[j], len(first)) / (spread[0] * spread[1])
            loss = loss + ((1 - c) ** 2 if i == j else redundancy * c**2)
    return loss


def _not_normalised(method: Any, batch: Any) -> list[Tensor]:
    return [method.projector[:-1](method.encoder(view)) for view in batch.views]


def literal(method: Any, batch: Any) -> Tensor:
    z = _not_normalised(method, batch)
    return mean([literal_barlow_twins(*pair, method.redundancy) for pair in of_pairs(z, method)])


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import BarlowTwinsLoss

    loss = BarlowTwinsLoss(lambda_param=method.redundancy)
    return mean([loss(*pair) for pair in of_pairs(_not_normalised(method, batch), method)])
