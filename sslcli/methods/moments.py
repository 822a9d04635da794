"""Moments of projections over the whole batch, for losses on variances and correlations."""

from __future__ import annotations

import torch
from torch import Tensor

from sslcli.distributed import gather


def of_the_batch(z: Tensor, *, views: int) -> Tensor:
    """Projections (views, B, d) of all processes' images, at least in float32, from this process's (views b, d)."""
    images_first = z.to(torch.promote_types(z.dtype, torch.float32)).reshape(views, -1, z.shape[1]).transpose(0, 1)
    return gather(images_first).transpose(0, 1)


def off_diagonal(first: Tensor, second: Tensor) -> Tensor:
    """The sum of the squares of firstᵀ second (d, d) without its diagonal, for first and second (N, d), never in bfloat16.

    With fewer rows than columns the whole sum of squares comes from (N, N) matrices: |firstᵀ second|² is the sum of the
    elementwise product of first firstᵀ and second secondᵀ.
    """
    with torch.autocast(first.device.type, enabled=False):
        if len(first) < first.shape[1]:
            whole = ((first @ first.mT) * (second @ second.mT)).sum()
        else:
            whole = (first.mT @ second).square().sum()
        return whole - (first * second).sum(0).square().sum()
