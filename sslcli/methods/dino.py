"""DINO: emerging properties in self-supervised vision transformers (Caron et al. 2021, arXiv:2104.14294)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer import Option

from sslcli.distributed import average, gather
from sslcli.methods.heads import follow, rising, similarities, teacher_of, unit, z_std
from sslcli.methods.method import Batch, Method
from sslcli.methods.multi_view import large_and_small, representations
from sslcli.methods.shared_options import ProjectorDim, ProjectorHiddenTwo, RisingMomentum
from sslcli.models.encoder import Encoder

COOL, WARMING = 0.04, 0.3  # the teacher's first temperature, and the fraction of training in which it rises: 30 epochs of 100


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of DINO.

    Smaller than the paper's, for two cores and few steps: 1024 prototypes instead of 65536, a head 512 wide instead of 2048, z
    128 long instead of 256, four small views (the work of one large one) instead of eight, a teacher momentum of 0.99 instead
    of 0.996. With Muon and resnet9-small a step of 128 images of 16 pixels took 0.16 s of one core (class bf16), 0.30 s at
    twice the widths and prototypes. No effect on accuracy was measured.
    """

    projector_hidden: ProjectorHiddenTwo = 512
    projector_dim: ProjectorDim = 128
    prototypes: Annotated[int, Option(min=2, help="Number of prototypes.")] = 1024
    temperature: Annotated[float, Option(min=1e-3, help="The student's temperature.")] = 0.1
    teacher_temperature: Annotated[float, Option(min=1e-3, help="The teacher's temperature after warm-up.")] = 0.07
    teacher_momentum: RisingMomentum = 0.99
    centre_momentum: Annotated[float, Option(min=0, max=1, help="Momentum of the centre (EMA).")] = 0.9
    frozen: Annotated[float, Option(min=0, max=1, help="Fraction of training during which the prototypes are frozen.")] = 0.01
    small_views: Annotated[int, Option(min=0, max=16, help="More views of half the side; only the student sees them.")] = 4

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"teacher_momentum": 0.95}, {"teacher_temperature": 0.04}, {"temperature": 0.2})


class Head(nn.Module):
    """h to its cosines with the prototypes (B, K): the weights of the paper's last layer have unit length. No batch norm."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        hidden = options.projector_hidden
        widths = (nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.projector = nn.Sequential(*widths, nn.Linear(hidden, options.projector_dim))
        self.prototypes = nn.Parameter(torch.randn(options.prototypes, options.projector_dim))

    def forward(self, h: Tensor) -> Tensor:
        """Logits before the temperature."""
        return similarities(unit(self.projector(h)), unit(self.prototypes), temperature=1)


class DINO(Method):
    """From every view the student predicts the prototypes that the teacher assigns to another, large view.

    Deviations from the paper, effects not measured: the large views have the same distribution, without solarisation; the
    optimizer is the run's, weight decay does not rise, gradients are not clipped.
    """

    centre: Tensor
    progress: Tensor

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.options, self.z_dim = options, options.projector_dim
        self.views = large_and_small(2, options.small_views)
        self.head = Head(encoder.dim, options)
        self.teacher, self.teacher_head = teacher_of(encoder), teacher_of(self.head)
        self.register_buffer("centre", torch.zeros(options.prototypes))
        self.register_buffer("progress", torch.zeros(()))

    @property
    def evaluated(self) -> Encoder:
        """The teacher."""
        return self.teacher

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The cross-entropy of algorithm 1, the mean over the pairs of a large view and another one; then the centre moves."""
        h = representations(self.encoder, batch.views)
        logits = (self.head(h) / self.options.temperature).chunk(len(batch.views))
        with torch.no_grad():
            seen = self.teacher_head(representations(self.teacher, batch.views[:2]))
            targets = F.softmax((seen - self.centre) / self._teacher_temperature(), 1).chunk(2)
            self.centre.lerp_(gather(seen.mean(0)[None]).mean(0).to(self.centre.dtype), 1 - self.options.centre_momentum)
        losses = [F.cross_entropy(logits[j], targets[i]) for i in range(2) for j in range(len(logits)) if i != j]
        return average(torch.stack(losses).mean()), z_std(self.project(h.detach().chunk(len(logits))[0]))

    def _teacher_temperature(self) -> Tensor:
        """The teacher's temperature rises linearly."""
        cool, warm = min(COOL, self.options.teacher_temperature), self.options.teacher_temperature
        return cool + (warm - cool) * (self.progress / WARMING).clamp(max=1)

    def project(self, h: Tensor) -> Tensor:
        """The student's z of h, not yet of unit length."""
        z: Tensor = self.head.projector(h)
        return z

    def before_step(self, progress: float) -> None:
        """The prototypes are frozen at first."""
        if progress < self.options.frozen:
            self.head.prototypes.grad = None

    def after_step(self, progress: float) -> None:
        """The teacher follows the student."""
        momentum = rising(self.options.teacher_momentum, progress)
        follow(self.teacher, self.encoder, momentum=momentum)
        follow(self.teacher_head, self.head, momentum=momentum)
        self.progress.fill_(progress)
