"""arXiv:2110.06848: equation 6 with the weights of section 3.2; its sum over images and views as their mean."""

from typing import Any

import torch
from torch import Tensor

from tests.methods.literal_losses import mean, s

VARIANTS = ({"weight_sigma": 0.5}, {"weight_sigma": 2.0, "temperature": 0.5})


def literal(method: Any, batch: Any) -> Tensor:
    z = method.project(method.encoder(torch.cat(batch.views))).chunk(2)
    images, temperature = range(len(z[0])), method.temperature

    def weight(i: int) -> Tensor | float:
        if method.sigma is None:
            return 1.0
        spread = [torch.exp(s(z[0][j], z[1][j]) / method.sigma).detach() for j in images]
        return 2 - spread[i] / mean(spread)

    losses = []
    for k in (0, 1):
        for i in images:
            others = sum(torch.exp(s(z[k][i], z[view][j]) / temperature) for view in (0, 1) for j in images if j != i)
            losses.append(-weight(i) * s(z[0][i], z[1][i]) / temperature + torch.log(others))
    return mean(losses)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import DCLLoss, DCLWLoss

    weighted = {} if method.sigma is None else {"sigma": method.sigma}
    loss: Tensor = (DCLWLoss if weighted else DCLLoss)(method.temperature, **weighted)(
        *method.project(method.encoder(torch.cat(batch.views))).chunk(2)
    )
    return loss
