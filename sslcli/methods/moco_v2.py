"""MoCo v2: improved baselines with momentum contrastive learning (Chen et al. 2020, arXiv:2003.04297; MoCo: 1911.05722)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer import Option

from sslcli.distributed import average, gather
from sslcli.methods.heads import follow, mlp, similarities, teacher_of, unit, z_std
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.queue import Queue
from sslcli.methods.shared_options import ProjectorDim, ProjectorHidden, Temperature
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of MoCo v2. Head and temperature are the paper's, queue and momentum the authors' for CIFAR-10.

    For ImageNet they use a queue of 65536 keys, which is more than CIFAR-10 has images, and a momentum of 0.999.
    """

    projector_hidden: ProjectorHidden = 2048
    projector_dim: ProjectorDim = 128
    temperature: Temperature = 0.2
    queue_size: Annotated[int, Option(min=1, help="Number of keys of earlier batches in the queue.")] = 4096
    teacher_momentum: Annotated[float, Option(min=0, max=1, help="Teacher momentum (EMA).")] = 0.99

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.1}, {"teacher_momentum": 0.95}, {"queue_size": 1024})


class MoCoV2(Method):
    """The student's query from one view finds the teacher's key from the other among the keys of earlier batches.

    Deviations from the paper, effects not measured: batch norm covers the whole batch of all processes, and the keys are
    not shuffled between processes; biases and norms have no weight decay.
    """

    views = (ViewSpec(count=2),)

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.temperature, self.momentum, self.z_dim = options.temperature, options.teacher_momentum, options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_dim, norm=False)
        self.teacher = teacher_of(nn.Sequential(encoder, self.projector))
        self.queue = Queue(options.queue_size, options.projector_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of equation 1 (arXiv:1911.05722), in nats; then the batch's keys enter the queue."""
        query = unit(self.project(self.encoder(batch.views[0])))
        with torch.no_grad():
            key = unit(self.teacher(batch.views[1]))
        others = similarities(query, self.queue.rows.clone(), temperature=self.temperature)  # the rows change before backward
        own = (query * key).sum(1, keepdim=True) / self.temperature
        logits = torch.cat([own, others], 1)
        loss = F.cross_entropy(logits, batch.rows.new_zeros(len(logits)))
        self.queue.push(gather(key))
        return average(loss), z_std(query)

    def project(self, h: Tensor) -> Tensor:
        """The student's z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z

    def after_step(self, progress: float) -> None:
        """The teacher follows the student."""
        follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=self.momentum)
