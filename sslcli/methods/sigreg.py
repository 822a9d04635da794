"""SIGReg: LeJEPA, self-supervised learning without the heuristics (Balestriero and LeCun 2025, arXiv:2511.08544)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from typer import Option

from sslcli.distributed import gather
from sslcli.methods.heads import mlp, z_std
from sslcli.methods.method import Batch, Method
from sslcli.methods.moments import of_the_batch
from sslcli.methods.multi_view import large_and_small, representations
from sslcli.methods.shared_options import ProjectorDim, ProjectorHiddenTwo
from sslcli.models.encoder import Encoder

REACH, KNOTS = 5.0, 17  # the paper's integral is over [-5, 5], by the trapezoidal rule on 17 points


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of SIGReg. The paper has 1024 directions per step; a quarter suits two cores (effect not measured)."""

    projector_hidden: ProjectorHiddenTwo = 512
    projector_dim: ProjectorDim = 64
    gaussian: Annotated[float, Option(min=0, max=1, help="Weight of the Gaussian term; agreement of views has the rest.")] = (
        0.05
    )
    directions: Annotated[int, Option(min=1, help="Random directions per step along which z is tested.")] = 256
    views: Annotated[int, Option(min=2, max=8, help="Views of each image; each is pulled to their mean.")] = 2
    small_views: Annotated[int, Option(min=0, max=16, help="More views of half the side, pulled to the large ones' mean.")] = 0

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"gaussian": 0.02}, {"gaussian": 0.1}, {"gaussian": 0.02, "rate": 2.0})


class SIGReg(Method):
    """Views of an image lie close to their mean, and z is distributed over the batch as an isotropic Gaussian."""

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.views = large_and_small(options.views, options.small_views)
        self.options, self.z_dim = options, options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_hidden, self.z_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of LeJEPA, and its terms before they are weighted."""
        z = self.project(representations(self.encoder, batch.views))
        of_all = of_the_batch(z, views=len(batch.views))
        terms = {
            "gaussian": epps_pulley(of_all, random_directions(self.options.directions, of_all)),
            "agreement": (of_all - of_all[: self.options.views].mean(0)).square().mean(),
        }
        share = self.options.gaussian
        loss = share * terms["gaussian"] + (1 - share) * terms["agreement"]
        return loss, z_std(z.chunk(len(batch.views))[0]) | {name: term.detach() for name, term in terms.items()}

    def project(self, h: Tensor) -> Tensor:
        """z of h."""
        z: Tensor = self.projector(h)
        return z


def random_directions(count: int, z: Tensor) -> Tensor:
    """Directions of unit length (d, count) in the space of z (..., d), the same on all processes.

    The training seeds torch before each step, so a repeated step has the same directions.
    """
    drawn = torch.randn(z.shape[-1], count, dtype=z.dtype, device=z.device)
    return gather(F.normalize(drawn, dim=0)[None])[0]


def epps_pulley(z: Tensor, directions: Tensor, *, reach: float = REACH, knots: int = KNOTS) -> Tensor:
    """Epps and Pulley's statistic of z (V, B, d) along directions (d, D), the mean over views and directions: 0 or more.

    B times the integral over t from -reach to reach of |c(t) - g(t)|² g(t). c is the mean over the batch of exp(i t x), where x
    is a projection onto a direction; g(t) = exp(-t²/2) is the value of c for a standard Gaussian. The integrand is even, so
    half of the knots, an odd number, suffice.
    """
    t = torch.linspace(0, reach, knots // 2 + 1, dtype=z.dtype, device=z.device)
    of_gaussian = torch.exp(-t.square() / 2)
    with torch.autocast(z.device.type, enabled=False):
        angles = (z @ directions)[..., None] * t
        error = (angles.cos().mean(1) - of_gaussian).square() + angles.sin().mean(1).square()
        return z.shape[1] * 2 * torch.trapezoid(error * of_gaussian, t).mean()
