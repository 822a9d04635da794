"""arXiv:2104.02057, equation 1 and algorithm 1. lightly has no such loss."""

from typing import Any

import torch
from torch import Tensor

from tests.methods.literal_losses import mean, s

VARIANTS = ({"temperature": 1.0, "projector_layers": 3},)


def literal(method: Any, batch: Any) -> Tensor:
    queries = [method.predictor(method.projector(method.encoder(view))) for view in batch.views]
    keys = [method.teacher(view).detach() for view in batch.views]
    temperature = method.temperature

    def contrast(query: Tensor, key: Tensor) -> Tensor:
        images = range(len(query))
        logits = [[torch.exp(s(query[i], key[j]) / temperature) for j in images] for i in images]
        return 2 * temperature * mean([-torch.log(logits[i][i] / sum(logits[i])) for i in images])

    return contrast(queries[0], keys[1]) + contrast(queries[1], keys[0])
