"""Barlow Twins: self-supervised learning via redundancy reduction (Zbontar et al. 2021, arXiv:2103.03230)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from typer import Option

from sslcli.methods.heads import mlp, z_std
from sslcli.methods.method import Batch, Method
from sslcli.methods.moments import of_the_batch, off_diagonal
from sslcli.methods.multi_view import large_and_small, pairs
from sslcli.methods.shared_options import PairedViews, ProjectorHiddenTwo, SeveralDims
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of Barlow Twins. The paper's projector is wider: see SeveralDims."""

    projector_hidden: ProjectorHiddenTwo = 512
    projector_dim: SeveralDims = 1024
    redundancy: Annotated[float, Option(min=0, help="Weight of the correlations between different dimensions of z.")] = 5e-3
    views: PairedViews = 2

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"redundancy": 2e-3}, {"redundancy": 0.01}, {"redundancy": 0.02})


class BarlowTwins(Method):
    """Each dimension of z agrees between two views of an image, and correlates with no other dimension.

    Deviations from the paper, effects not measured: the paper's two views differ in blur and solarisation, here they have
    the same distribution; the optimizer is the run's, not LARS.
    """

    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.views, self.pairs = large_and_small(options.views, 0), pairs(options.views, 0)
        self.z_dim, self.redundancy, hidden = options.projector_dim, options.redundancy, options.projector_hidden
        self.projector = mlp(encoder.dim, hidden, hidden, self.z_dim, last_norm=True, last_affine=False)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of equation 1, the mean over the pairs of views; the projector's last norm treats each view separately."""
        z = [self.project(self.encoder(view)) for view in batch.views]
        of_all = [of_the_batch(one, views=1)[0] for one in z]
        losses = [cross_correlation(of_all[i], of_all[j], redundancy=self.redundancy) for i, j in self.pairs]
        return torch.stack(losses).mean(), z_std(z[0])

    def project(self, h: Tensor) -> Tensor:
        """z of h, each dimension of mean 0 and variance 1 over the batch."""
        z: Tensor = self.projector(h)
        return z


def cross_correlation(first: Tensor, second: Tensor, *, redundancy: float) -> Tensor:
    """Equation 1: how far the correlations (d, d) of two views' z (B, d), normalised over the batch, are from the identity."""
    same = (first * second).mean(0)
    return (1 - same).square().sum() + redundancy * off_diagonal(first, second) / len(first) ** 2
