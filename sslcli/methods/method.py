"""What a method is: views in, loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """`count` views of each image, drawn alike.

    Their side is `part` of the side that --view-sizes says. `augmentation` holds fields of `Augmentation` whose values take the
    place of the run's, such as {"blur": 1.0} for one of two views that differ.
    """

    count: int = 1
    part: float = 1.0
    augmentation: Mapping[str, float] = field(default_factory=dict)


class Batch(NamedTuple):
    """What a step shows a method: `views`, each (B, 3, S, S) and normalised, in the order of the method's specifications.

    `rows` (B,) int64 are the places of their images among the training images, on the views' device: for banks and queues.
    """

    views: list[Tensor]
    rows: Tensor


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that train at a rate or a weight decay of their own.

    Their rate is `lr_scale` times the run's; with `constant_lr` times the run's highest rate, at every step. `weight_decay`
    None is the run's. Biases and norms do not decay in any group.
    """

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    constant_lr: bool = False
    weight_decay: float | None = None


class Method(nn.Module, ABC):
    """An objective around an encoder. It is built when the encoder has its first weights, those of --init FILE included.

    So a teacher is a copy of the encoder, made in the constructor: a submodule without gradients. Queues and counters are
    persistent buffers. All that outlives a step is a parameter or such a buffer: so it is in every checkpoint, and several
    processes begin with the first one's.

    `views` says what the method wants to see. `z_dim` is the length of the projections that its loss compares; None where it
    compares none, as a masked autoencoder. `same_each_step` says that forward computes the same at each step but for what
    batch, parameters and buffers hold, and draws nothing at random: with --compile a GPU then records it once and replays it.
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

        Of several processes each gets its part of the batch, and the mean of their losses is trained. A loss that is a mean
        over images is right as it is. One that compares images, or takes a statistic over them, first puts what it compares
        through `sslcli.distributed.gather`: the rows of all processes, in the order of the batch, with gradients. Then it may
        compute the whole batch's loss on every process, or that of its own rows, put through `average` to be shown as the
        whole batch's. What was not gathered is logged of the first process's part. Batch norm is over all processes by
        itself. A buffer must be made of gathered values, to be the same on all.
        """

    def project(self, h: Tensor) -> Tensor:
        """The projection z (B, z_dim) of representations h (B, dim): what the loss compares. Asked for only if z_dim is set."""
        raise NotImplementedError(f"{type(self).__name__} has a z_dim, and no project")

    @property
    def evaluated(self) -> Encoder:
        """The encoder that is measured and exported: the trained one, or a teacher where the paper says so."""
        return self.encoder

    def parameter_groups(self) -> list[ParameterGroup]:
        """The parameters that have a rate or a decay of their own, such as a predictor's. The others train as the run says."""
        return []

    def before_step(self, progress: float) -> None:
        """Called when the gradients are there, before the optimizer takes its step, with the fraction of training done.

        E.g. to keep a layer as it is: a parameter whose gradient is None does not move.
        """

    def after_step(self, progress: float) -> None:
        """Called after every optimizer step with the fraction of training that is done, e.g. to move a teacher."""


class Projecting(nn.Module):
    """A method's way from normalised images (B, 3, H, W) to z (B, d)."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> Tensor:
        """The projection of images."""
        return self.method.project(self.method.encoder(images))


def evaluated_name(method: Method) -> str:
    """By which name the method's state has the encoder that is measured."""
    names: dict[nn.Module, str] = {module: name for name, module in method.named_modules()}
    return names[method.evaluated]
