"""The parts of a training: `take_steps` runs them at each step, and `ssl bench` times them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

Batch = tuple[Tensor, ...]
"""The images of a batch (B, 3, H, W) uint8, or their representations (B, dim), and labels (B,) if there are any."""
Loss = tuple[Tensor, dict[str, Tensor]]
"""A scalar, and scalars to average over the epoch."""


def _nothing(_: float) -> None:
    """Do nothing before or after a step."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """`module`, trained by `optimizer` for `steps` steps of `batch_size` images, `epoch_steps` per epoch.

    Steps may have fewer images, as the last one of an epoch; `per_step` is their mean.

    A step chooses its batch, makes views of it, and computes their loss; each part depends only on the step. If steps differ,
    `work_until` gives the work up to a step, in any unit, to estimate the remaining time. If losses and gradients are replayed
    on a GPU, `not_replayed` is the same training with every operation launched normally.
    """

    module: nn.Module
    optimizer: Optimizer
    batch_at: Callable[[int], Batch]
    views_of: Callable[[int, Batch], list[Tensor]]
    loss_of: Callable[[list[Tensor], Batch], Loss]
    lr_at: Callable[[int], float]
    steps: int
    epoch_steps: int
    batch_size: int
    per_step: float
    seed: int
    before_step: Callable[[float], None] = _nothing
    after_step: Callable[[float], None] = _nothing
    work_until: Callable[[int], float] = float
    not_replayed: Training | None = None

    def loss_at(self, step: int) -> Loss:
        """The loss of `step`."""
        batch = self.batch_at(step)
        return self.loss_of(self.views_of(step, batch), batch)


def batch_itself(_: int, batch: Batch) -> list[Tensor]:
    """No views: the batch itself is trained on."""
    return [batch[0]]
