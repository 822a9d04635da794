"""DCL and DCLW: decoupled contrastive learning (Yeh et al. 2021, arXiv:2110.06848)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from typer import Option

from sslcli.distributed import average, gather, own_part
from sslcli.methods.heads import mlp, similarities, unit
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.shared_options import ProjectorDim, ProjectorHidden, Temperature
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of DCL. The projector is that of SimCLR here; the paper, too, uses SimCLR's."""

    projector_hidden: ProjectorHidden = 1024
    projector_dim: ProjectorDim = 128
    temperature: Temperature = 0.1
    weight_sigma: Annotated[
        float | None,
        Option(min=1e-3, help="DCLW: smaller values give distant pairs more weight; the paper has 0.5. Default: plain DCL."),
    ] = None

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.2}, {"temperature": 0.05}, {"weight_sigma": 0.5})


class DCL(Method):
    """Two views of an image agree, views of different images do not; the positive pair is not in the denominator."""

    views = (ViewSpec(count=2),)
    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.temperature, self.sigma, self.z_dim = options.temperature, options.weight_sigma, options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of equation 6, optionally weighted as in section 3.2: the mean over all views."""
        z = unit(self.project(self.encoder(torch.cat(batch.views))))
        first, second = (gather(view) for view in z.chunk(2))
        loss = decoupled(first, second, temperature=self.temperature, sigma=self.sigma, rows=own_part(len(first)))
        return average(loss), {"z_std": first.detach().std(0).mean()}

    def project(self, h: Tensor) -> Tensor:
        """z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z


def decoupled(
    first: Tensor, second: Tensor, *, temperature: float, sigma: float | None = None, rows: slice = slice(None)
) -> Tensor:
    """The negative weighted similarity of the pair plus the logarithm of the sum over all views of other images, as a mean
    over both views of the images in `rows` (a scalar; minus infinity for a single image).

    first, second: (B, d) of unit length. Without `sigma` all weights are 1. With it they are 2 - exp(s / sigma) divided by
    its mean over the batch, where s is the pair's similarity; they are constants for the gradient. Memory grows with the
    square of the batch.
    """
    z = torch.cat([first, second])
    views = torch.arange(len(z), device=z.device).view(2, -1)[:, rows]
    logits = similarities(z[views.flatten()], z, temperature=temperature)
    for taken in (views, views.flip(0)):  # neither a view itself nor its partner is a candidate
        logits = logits.scatter(1, taken.reshape(-1, 1), -torch.inf)
    pair = (first * second).sum(1)
    weight = 1.0 if sigma is None else 2 - len(pair) * (pair.detach() / sigma).softmax(0)
    return (logits.logsumexp(1).view(2, -1) - (weight * pair / temperature)[rows]).mean()
