"""BYOL: bootstrap your own latent, a new approach to self-supervised learning (Grill et al. 2020, arXiv:2006.07733)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sslcli.distributed import average
from sslcli.methods.heads import cosine, follow, mlp, rising, teacher_of, z_std
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.shared_options import PredictorHidden, ProjectorDim, ProjectorHidden, RisingMomentum
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of BYOL. The heads are the paper's.

    Its teacher momentum of 0.996 is for 1,000 epochs of ImageNet; the authors' program takes 0.99 for 100. The effect was not
    measured.
    """

    projector_hidden: ProjectorHidden = 4096
    projector_dim: ProjectorDim = 256
    predictor_hidden: PredictorHidden = 4096
    teacher_momentum: RisingMomentum = 0.99

    TUNING = (
        {"rate": 0.5}, {"rate": 2.0}, {"teacher_momentum": 0.95}, {"teacher_momentum": 0.9},
        {"teacher_momentum": 0.95, "rate": 2.0},
    )  # fmt: skip


class BYOL(Method):
    """From each view of an image the student predicts the teacher's projection of the others.

    Deviations from the paper, effects not measured: both views have the same distribution. (The paper's differ in blur, which
    the field leaves out at 32 pixels, and in solarisation, which does not exist here.) The optimizer is the run's, not LARS.
    With more than two views the loss is the mean over all ordered pairs.
    """

    views = (ViewSpec(count=2),)
    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.momentum, self.z_dim = options.teacher_momentum, options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_dim)
        self.predictor = mlp(options.projector_dim, options.predictor_hidden, options.projector_dim)
        self.teacher = teacher_of(nn.Sequential(encoder, self.projector))

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared distance of unit-length prediction and target, summed over both directions: 0 to 8."""
        z = [self.project(self.encoder(view)) for view in batch.views]
        p = [self.predictor(one) for one in z]
        with torch.no_grad():
            targets = [self.teacher(view) for view in batch.views]
        pairs = [cosine(p[i], targets[j]) for i in range(len(p)) for j in range(len(p)) if i != j]
        return average(2 * (2 - 2 * torch.stack(pairs).mean())), z_std(z[0])

    def project(self, h: Tensor) -> Tensor:
        """The student's z of h."""
        z: Tensor = self.projector(h)
        return z

    def after_step(self, progress: float) -> None:
        """The teacher follows the student."""
        follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=rising(self.momentum, progress))
