"""The contract of a method: views in, loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """`count` views of each image, with the same distribution.

    Their side is `part` times the side of --view-sizes. `augmentation` holds fields of `Augmentation` that replace the run's
    values, such as {"blur": 1.0} for one of two views that differ.
    """

    count: int = 1
    part: float = 1.0
    augmentation: Mapping[str, float] = field(default_factory=dict)


class Batch(NamedTuple):
    """The input of a step: `views`, each (B, 3, S, S) and normalised, in the order of the method's specifications.

    `rows` (B,) int64 are the positions of their images among the training images, on the views' device: for banks and queues.
    """

    views: list[Tensor]
    rows: Tensor


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters with their own learning rate or weight decay.

    Their learning rate is `lr_scale` times the run's; with `constant_lr` it is `lr_scale` times the run's peak at every step.
    `weight_decay` None is the run's. Biases and norms have no weight decay in any group.
    """

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    constant_lr: bool = False
    weight_decay: float | None = None


class Method(nn.Module, ABC):
    """An objective around an encoder. It is built after the encoder has its first weights, including those of --init FILE.

    So a teacher is a copy of the encoder, made in the constructor: a submodule without gradients. Queues and counters are
    persistent buffers. Everything that outlives a step is a parameter or such a buffer: so it is in every checkpoint, and
    several processes start with the first one's.

    `views` specifies the views. `z_dim` is the length of the projections that the loss compares; None if it compares none, as
    in a masked autoencoder. `same_each_step` says that forward does the same operations at each step (only the values of
    batch, parameters and buffers change) and draws nothing at random: with --compile a GPU records it once and replays it.
    """

    views: tuple[ViewSpec, ...]
    z_dim: int | None = None
    same_each_step: ClassVar[bool] = False

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss (scalar, float32) and scalars worth logging.

        With several processes each gets its part of the batch, and the mean of their losses is trained. A loss that is a mean
        over images is right as it is. One that compares images, or takes a statistic over them, first passes these values
        through `sslcli.distributed.gather`: it gives the rows of all processes, in the order of the batch, with gradients.
        Then each process may compute the loss of the whole batch, or of its own rows; `average` turns the latter into the
        whole batch's for display. Values that were not gathered are logged for the first process's part. Batch norm covers
        all processes by itself. A buffer must be computed from gathered values, to be the same on all processes.
        """

    def project(self, h: Tensor) -> Tensor:
        """The projection z (B, z_dim) of representations h (B, dim), which the loss compares. Called only if z_dim is set."""
        raise NotImplementedError(f"{type(self).__name__} has a z_dim, and no project")

    @property
    def evaluated(self) -> Encoder:
        """The encoder that is measured and exported: the trained one, or a teacher where the paper says so."""
        return self.encoder

    def parameter_groups(self) -> list[ParameterGroup]:
        """The parameters with their own learning rate or weight decay, such as a predictor's. The others use the run's."""
        return []

    def before_step(self, progress: float) -> None:
        """Called after the backward pass and before the optimizer's step, with the fraction of training that is done.

        E.g. to freeze a layer: a parameter whose gradient is None does not move.
        """

    def after_step(self, progress: float) -> None:
        """Called after every optimizer step with the fraction of training that is done, e.g. to move a teacher."""


class Projecting(nn.Module):
    """Normalised images (B, 3, H, W) to a method's z (B, d)."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> Tensor:
        """The projection of images."""
        return self.method.project(self.method.encoder(images))


def evaluated_name(method: Method) -> str:
    """The name, in the method's state, of the encoder that is measured."""
    names: dict[nn.Module, str] = {module: name for name, module in method.named_modules()}
    return names[method.evaluated]
