"""arXiv:2002.05709, equation 1 and algorithm 1."""

from typing import Any

import torch
from torch import Tensor

from tests.test_simclr import literal_nt_xent


def literal(method: Any, batch: Any) -> Tensor:
    first, second = method.project(method.encoder(torch.cat(batch.views))).chunk(2)
    return literal_nt_xent(first, second, method.temperature)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import NTXentLoss

    loss: Tensor = NTXentLoss(method.temperature)(*method.project(method.encoder(torch.cat(batch.views))).chunk(2))
    return loss
