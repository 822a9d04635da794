"""arXiv:2006.09882: equations 1 to 3, and the multi-crop loss, in which each view but one predicts the codes of a large one."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.methods.multi_view import representations
from tests.methods.literal_losses import cross_entropy, mean

VARIANTS = ({"temperature": 0.2, "epsilon": 0.1, "small_views": 0}, {"small_views": 1})


def literal_sinkhorn(scores: Tensor, epsilon: float) -> list[list[float]]:
    """exp(scores / epsilon) with columns and rows scaled in turn, three times, in numbers."""
    q = [[math.exp(value / epsilon) for value in row] for row in scores.tolist()]
    images, prototypes = len(q), len(q[0])
    for _ in range(3):
        for k in range(prototypes):
            total = sum(q[b][k] for b in range(images))
            for b in range(images):
                q[b][k] /= total * prototypes
        for b in range(images):
            total = sum(q[b])
            for k in range(prototypes):
                q[b][k] /= total * images
    return [[value * images for value in row] for row in q]


def _scores(method: Any, batch: Any) -> list[Tensor]:
    z = method.project(representations(method.encoder, batch.views))
    return list((F.normalize(z) @ method.prototypes.T).chunk(len(batch.views)))


def literal(method: Any, batch: Any) -> Tensor:
    scores, terms = _scores(method, batch), []
    for i in (0, 1):
        codes = literal_sinkhorn(scores[i], method.options.epsilon)
        for j in range(len(scores)):
            if j != i:
                terms += [
                    cross_entropy(torch.tensor(code, dtype=row.dtype), row / method.options.temperature)
                    for code, row in zip(codes, scores[j], strict=True)
                ]
    return mean(terms)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import SwaVLoss

    scores = _scores(method, batch)
    loss = SwaVLoss(temperature=method.options.temperature, sinkhorn_epsilon=method.options.epsilon)
    total: Tensor = loss(scores[:2], scores[2:]).squeeze()
    return total
