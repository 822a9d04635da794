"""VICReg: variance-invariance-covariance regularization (Bardes et al. 2022, arXiv:2105.04906)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from typer import Option

from sslcli.methods.heads import mlp, z_std
from sslcli.methods.method import Batch, Method
from sslcli.methods.moments import of_the_batch, off_diagonal
from sslcli.methods.multi_view import large_and_small, pairs, representations
from sslcli.methods.shared_options import PairedViews, ProjectorHiddenTwo, SeveralDims, SmallViews
from sslcli.models.encoder import Encoder

EPSILON = 1e-4  # added to the variance, for a root with a gradient (the paper's)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of VICReg. The paper's expander is wider: see SeveralDims."""

    projector_hidden: ProjectorHiddenTwo = 512
    projector_dim: SeveralDims = 1024
    invariance: Annotated[float, Option(min=0, help="Weight of the distance between views of an image.")] = 25.0
    variance: Annotated[float, Option(min=0, help="Weight of the variance term: deviation below 1, by dimension.")] = 25.0
    covariance: Annotated[float, Option(min=0, help="Weight of the covariances between different dimensions.")] = 1.0
    views: PairedViews = 2
    small_views: SmallViews = 0

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"covariance": 4.0}, {"covariance": 10.0}, {"invariance": 10.0})


class VICReg(Method):
    """Views of an image lie close together; each dimension of z varies over the batch, and correlates with no other.

    As in the authors' program, whose weights these are, the distance is a mean over the dimensions (in the paper a sum), and
    the variance term a mean over the views (in the paper a sum). Deviation, effect not measured: the optimizer is the run's,
    not LARS.
    """

    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.views = large_and_small(options.views, options.small_views)
        self.pairs = pairs(options.views, options.small_views)
        self.weights = options.invariance, options.variance, options.covariance
        self.z_dim = options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_hidden, self.z_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of equation 6, and its terms before they are weighted."""
        z = self.project(representations(self.encoder, batch.views))
        terms = terms_of(of_the_batch(z, views=len(batch.views)), self.pairs)
        weighted = [weight * term for weight, term in zip(self.weights, terms.values(), strict=True)]
        shown = {name: term.detach() for name, term in terms.items()}
        return torch.stack(weighted).sum(), z_std(z.chunk(len(batch.views))[0]) | shown

    def project(self, h: Tensor) -> Tensor:
        """z of h."""
        z: Tensor = self.projector(h)
        return z


def terms_of(z: Tensor, pairs: list[tuple[int, int]]) -> dict[str, Tensor]:
    """Invariance, variance and covariance of z (V, B, d) with the pairs of views that are compared.

    The first is a mean over pairs, the second over views; the third is twice the mean over views, as the sum of two views.
    """
    centred = z - z.mean(1, keepdim=True)
    covariances = [off_diagonal(view, view) / (z.shape[1] - 1) ** 2 / z.shape[2] for view in centred]
    return {
        "invariance": torch.stack([F.mse_loss(z[i], z[j]) for i, j in pairs]).mean(),
        "variance": F.relu(1 - (z.var(1) + EPSILON).sqrt()).mean(),
        "covariance": 2 * torch.stack(covariances).mean(),
    }
