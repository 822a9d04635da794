"""arXiv:1911.05722, equation 1 and algorithm 1."""

from typing import Any

import torch
from torch import Tensor

from tests.methods.literal_losses import mean, s

VARIANTS = ({"temperature": 0.07},)


def _both(method: Any, batch: Any) -> tuple[Tensor, Tensor]:
    return method.projector(method.encoder(batch.views[0])), method.teacher(batch.views[1]).detach()


def literal(method: Any, batch: Any) -> Tensor:
    queries, keys = _both(method, batch)

    def loss(i: int) -> Tensor:
        logits = [torch.exp(s(queries[i], key) / method.temperature) for key in (keys[i], *method.queue.rows)]
        return -torch.log(logits[0] / sum(logits))

    return mean([loss(i) for i in range(len(queries))])


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import NTXentLoss

    theirs = NTXentLoss(method.temperature, memory_bank_size=tuple(method.queue.rows.shape)).double()
    theirs.memory_bank.bank = method.queue.rows.clone()
    loss: Tensor = theirs(*_both(method, batch))
    return loss
