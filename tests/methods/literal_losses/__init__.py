"""The loss of each method as its paper has it, in slow loops: a file for each, with the method's name.

`literal(method, batch)` gives the loss of a method in training mode, before its queues take the batch in. A file may also have
`lightlys(method, batch)`, the same with lightly's own loss, and VARIANTS, options with which the method is looked at, too.
"""

from typing import Any

import torch
from torch import Tensor


def s(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of two rows."""
    return (first @ second) / (first.norm() * second.norm())


def mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)  # type: ignore[return-value]


def of_pairs(z: list[Tensor], method: Any) -> list[tuple[Tensor, Tensor]]:
    """The projections of each pair of views, of which one at least is large."""
    large = method.views[0].count
    return [(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i < j and i < large]


def columns(z: Tensor) -> list[Tensor]:
    """The values of each dimension, over the images of z (B, d)."""
    return [z[:, j] for j in range(z.shape[1])]


def covariance(x: Tensor, y: Tensor, divisor: int) -> Tensor:
    """The sum of the products of two variables' distances from their means, over the divisor."""
    return ((x - x.sum() / len(x)) * (y - y.sum() / len(y))).sum() / divisor


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Minus the sum of target times the logarithm of the softmax of one row of logits, term by term."""
    total = sum(torch.exp(value) for value in logits)
    return sum(-q * torch.log(torch.exp(value) / total) for q, value in zip(target, logits, strict=True))  # type: ignore[return-value]
