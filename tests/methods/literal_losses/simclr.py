"""arXiv:2002.05709, equation 1 and algorithm 1; of more than two views the mean over the pairs of a large one and another."""

from typing import Any

from torch import Tensor

from sslcli.methods.multi_view import representations
from tests.methods.literal_losses import mean, of_pairs
from tests.methods.test_simclr import literal_nt_xent

VARIANTS = ({"views": 3, "small_views": 2},)


def _projections(method: Any, batch: Any) -> list[Tensor]:
    return list(method.project(representations(method.encoder, batch.views)).chunk(len(batch.views)))


def literal(method: Any, batch: Any) -> Tensor:
    z = _projections(method, batch)
    return mean([literal_nt_xent(first, second, method.temperature) for first, second in of_pairs(z, method)])


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(method.temperature)
    return mean([loss(first, second) for first, second in of_pairs(_projections(method, batch), method)])
