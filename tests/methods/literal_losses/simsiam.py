"""arXiv:2011.10566: equations 1 to 4."""

from typing import Any

from torch import Tensor

from tests.methods.literal_losses import mean, s

VARIANTS = ({"projector_layers": 3},)


def _both(method: Any, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
    z = [method.projector(method.encoder(view)) for view in batch.views]
    return [method.predictor(one) for one in z], [one.detach() for one in z]


def literal(method: Any, batch: Any) -> Tensor:
    p, z = _both(method, batch)
    return mean([-s(p[0][i], z[1][i]) / 2 - s(p[1][i], z[0][i]) / 2 for i in range(len(p[0]))])


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import NegativeCosineSimilarity

    (p, z), loss = _both(method, batch), NegativeCosineSimilarity()
    return 0.5 * (loss(p[0], z[1]) + loss(p[1], z[0]))
