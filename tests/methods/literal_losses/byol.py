"""arXiv:2006.07733: equation 2, and its other half with the views exchanged."""

from typing import Any

from torch import Tensor

from tests.methods.literal_losses import mean


def _predicted(method: Any, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The student's predictions, and the teacher's projections."""
    return (
        [method.predictor(method.projector(method.encoder(view))) for view in batch.views],
        [method.teacher(view).detach() for view in batch.views],
    )


def literal(method: Any, batch: Any) -> Tensor:
    p, targets = _predicted(method, batch)

    def distance(predicted: Tensor, target: Tensor) -> Tensor:
        return ((predicted / predicted.norm() - target / target.norm()) ** 2).sum()

    return mean([distance(p[0][i], targets[1][i]) + distance(p[1][i], targets[0][i]) for i in range(len(p[0]))])


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import NegativeCosineSimilarity

    (p, targets), loss = _predicted(method, batch), NegativeCosineSimilarity()
    return 4 + 2 * (loss(p[0], targets[1]) + loss(p[1], targets[0]))  # |a - b|^2 is 2 - 2 cos of unit lengths
