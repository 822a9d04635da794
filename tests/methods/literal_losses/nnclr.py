"""arXiv:2104.14548: equations 2 and 3, and the term with which the paper makes it symmetric.

lightly's loss has more candidates: the batch's other neighbours, too.
"""

from typing import Any

import torch
from torch import Tensor

from tests.methods.literal_losses import mean, s

VARIANTS = ({"temperature": 0.5},)


def literal(method: Any, batch: Any) -> Tensor:
    z = [method.projector(method.encoder(view)) for view in batch.views]
    p = [method.predictor(one) for one in z]
    near = [[max(method.queue.rows, key=lambda row, at=at: float(s(at, row))) for at in one.detach()] for one in z]
    images, temperature = range(len(z[0])), method.temperature

    def contrast(n: list[Tensor], q: Tensor) -> Tensor:
        e = [[torch.exp(s(n[i], q[k]) / temperature) for k in images] for i in images]
        rows = mean([-torch.log(e[i][i] / sum(e[i][k] for k in images)) for i in images])
        return rows + mean([-torch.log(e[i][i] / sum(e[k][i] for k in images)) for i in images])

    return (contrast(near[0], p[1]) + contrast(near[1], p[0])) / 2
