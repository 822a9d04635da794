"""SwAV: unsupervised learning of visual features by contrasting cluster assignments (Caron et al. 2020, arXiv:2006.09882)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer import Option

from sslcli.distributed import average, gather, own_part
from sslcli.methods.heads import mlp, similarities, unit, z_std
from sslcli.methods.method import Batch, Method
from sslcli.methods.multi_view import large_and_small, representations
from sslcli.methods.shared_options import ProjectorDim, ProjectorHidden, Temperature
from sslcli.models.encoder import Encoder

ITERATIONS = 3  # of Sinkhorn and Knopp (the paper's)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of SwAV.

    The paper has 3000 prototypes for ImageNet's thousand classes, with a queue for small batches; here it is 512 without a
    queue, as in lightly for CIFAR-10. Four small views (the work of one large one) replace the paper's six, and a hidden
    layer of 512 replaces 2048. Effects were not measured.
    """

    projector_hidden: ProjectorHidden = 512
    projector_dim: ProjectorDim = 128
    prototypes: Annotated[int, Option(min=2, help="Number of prototypes.")] = 512
    temperature: Temperature = 0.1
    epsilon: Annotated[float, Option(min=0.025, help="Softness of the assignments to prototypes (Sinkhorn epsilon).")] = 0.05
    frozen: Annotated[float, Option(min=0, max=1, help="Fraction of training during which the prototypes are frozen.")] = 0.01
    small_views: Annotated[int, Option(min=0, max=16, help="More views of half the side, which predict the large ones.")] = 4

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.2}, {"prototypes": 128}, {"epsilon": 0.03})


class SwAV(Method):
    """Each view predicts the prototypes that another view is assigned to; every prototype gets equally many images.

    Small views predict, but are not predicted. Their crops cover 5 to 40 % of the image, as in DINO: the paper's 14 % at most
    would be 12 pixels here. The prototypes are frozen for a hundredth of training (the paper: one epoch of 100). The
    optimizer is the run's, not LARS. Effects were not measured.
    """

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.options, self.z_dim = options, options.projector_dim
        self.views = large_and_small(2, options.small_views)
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_dim)
        self.prototypes = nn.Parameter(unit(torch.randn(options.prototypes, options.projector_dim)))

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The swapped prediction of equation 1, the mean over the pairs of a large view and another one, in nats."""
        z = self.project(representations(self.encoder, batch.views)).chunk(len(batch.views))
        scores = [similarities(unit(view), self.prototypes, temperature=1) for view in z]
        with torch.no_grad():
            whole = [gather(score.detach()) for score in scores[:2]]
            codes = [sinkhorn(score, epsilon=self.options.epsilon)[own_part(len(score))] for score in whole]
        pairs = [(i, j) for i in range(2) for j in range(len(scores)) if i != j]
        losses = [F.cross_entropy(scores[j] / self.options.temperature, codes[i]) for i, j in pairs]
        return average(torch.stack(losses).mean()), z_std(z[0])

    def project(self, h: Tensor) -> Tensor:
        """z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z

    def before_step(self, progress: float) -> None:
        """The prototypes are frozen at first."""
        if progress < self.options.frozen:
            self.prototypes.grad = None

    def after_step(self, progress: float) -> None:
        """Scale the prototypes back to unit length."""
        with torch.no_grad():
            self.prototypes.copy_(unit(self.prototypes))


def sinkhorn(scores: Tensor, *, epsilon: float) -> Tensor:
    """Codes (B, K) of images with scores (B, K), -1 to 1: rows add up to 1, columns to about B / K (equation 3)."""
    codes = torch.exp((scores - scores.max()) / epsilon)  # above 0 for epsilons from 0.025 on: scores differ by 2
    for _ in range(ITERATIONS):
        codes = codes / codes.sum(0)
        codes = codes / codes.sum(1, keepdim=True)
    return codes
