"""NNCLR: with a little help from my friends, nearest-neighbour contrastive learning (Dwibedi et al. 2021, arXiv:2104.14548)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from typer import Option

from sslcli.distributed import average, gather, own_part
from sslcli.methods.heads import mlp, similarities, unit, z_std
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.queue import Queue
from sslcli.methods.shared_options import PredictorHidden, ProjectorDim, ProjectorHiddenTwo, Temperature
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of NNCLR. Heads and temperature are the paper's; with --minutes the heads are narrower (docs/methods.md).

    The paper's queue of 98304 is a thirteenth of ImageNet's images. If a queue is longer than the data set, it contains the
    image itself, which is then its own nearest neighbour. This queue is a third of CIFAR-10 (effect not measured).
    """

    projector_hidden: ProjectorHiddenTwo = 2048
    projector_dim: ProjectorDim = 256
    predictor_hidden: PredictorHidden = 4096
    temperature: Temperature = 0.1
    queue_size: Annotated[int, Option(min=1, help="Projections of earlier batches to search for neighbours.")] = 16384

    IN_MINUTES: ClassVar[Mapping[str, Any]] = {"projector_hidden": 512, "predictor_hidden": 512}
    TUNING = (
        {"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.2}, {"queue_size": 4096}, {"temperature": 0.2, "queue_size": 4096},
    )  # fmt: skip


class NNCLR(Method):
    """The prediction from one view agrees with the earlier projection that is nearest to the projection of the other.

    Deviation from the paper, effect not measured: the optimizer is the run's, not LARS.
    """

    views = (ViewSpec(count=2),)

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.temperature, self.z_dim = options.temperature, options.projector_dim
        hidden = options.projector_hidden
        self.projector = mlp(encoder.dim, hidden, hidden, options.projector_dim, last_norm=True)
        self.predictor = mlp(options.projector_dim, options.predictor_hidden, options.projector_dim)
        self.queue = Queue(options.queue_size, options.projector_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The symmetric loss of equation 3, in nats, the mean over the views; then the first view's z enter the queue."""
        z = [self.project(self.encoder(view)) for view in batch.views]
        p = [gather(unit(self.predictor(one))) for one in z]
        near = [gather(self.nearest(unit(one.detach()))) for one in z]
        loss = (self._contrast(near[0], p[1]) + self._contrast(near[1], p[0])) / 2
        self.queue.push(gather(unit(z[0].detach())))
        return average(loss), z_std(z[0])

    def nearest(self, z: Tensor) -> Tensor:
        """Of z (N, dim), each of unit length, the row of the queue that is most like each."""
        rows = self.queue.rows
        return rows[similarities(z, rows, temperature=1).argmax(1)]

    def _contrast(self, near: Tensor, p: Tensor) -> Tensor:
        """For this process's images: each neighbour among all predictions, and each prediction among all neighbours."""
        own = own_part(len(p))
        places = torch.arange(len(p), device=p.device)[own]
        pairs = ((near[own], p), (p[own], near))
        losses = [F.cross_entropy(similarities(*pair, temperature=self.temperature), places) for pair in pairs]
        return torch.stack(losses).sum()

    def project(self, h: Tensor) -> Tensor:
        """z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z
