"""What a method is: views in, loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from sslcli.models.encoder import Encoder


class Method(nn.Module, ABC):
    """An objective around an encoder. Keyword arguments of a method's constructor are options of `ssl pretrain`.

    `views` is how many views of each image `forward` gets, all of the same size.
    """

    views: int

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, views: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss (scalar, float32) and scalars worth logging, from `views` normalised batches (B, 3, S, S).

        Of several processes each gets its part of the batch, and the mean of their losses is trained. A loss that is a mean
        over images is right as it is. One that compares images, or takes a statistic over them, first puts what it compares
        through `sslcli.distributed.gather`: the rows of all processes, in the order of the batch, with gradients. Then it may
        compute the whole batch's loss on every process, or that of its own rows, put through `average` to be shown as the
        whole batch's. What was not gathered is logged of the first process's part. Batch norm is over all processes by
        itself. A buffer must be made of gathered values, to be the same on all.
        """

    @abstractmethod
    def project(self, h: Tensor) -> Tensor:
        """The projection z (B, d) of representations h (B, dim): what the loss compares."""

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
