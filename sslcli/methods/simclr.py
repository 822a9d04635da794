"""SimCLR: a simple framework for contrastive learning of visual representations (Chen et al. 2020, arXiv:2002.05709)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sslcli.distributed import average, gather, own_part
from sslcli.methods.heads import mlp, unit
from sslcli.methods.method import Batch, Method
from sslcli.methods.multi_view import large_and_small, pairs, representations
from sslcli.methods.shared_options import PairedViews, ProjectorDim, ProjectorHidden, SmallViews, Temperature
from sslcli.models.encoder import Encoder

PART = 512  # images whose views are compared with all others at a time


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of SimCLR."""

    projector_hidden: ProjectorHidden = 1024
    projector_dim: ProjectorDim = 128
    temperature: Temperature = 0.5
    views: PairedViews = 2
    small_views: SmallViews = 0

    IN_MINUTES: ClassVar[Mapping[str, Any]] = {"temperature": 0.1}  # better than 0.2 on CIFAR-10: results/speedrun.md
    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.2}, {"temperature": 0.5}, {"temperature": 0.2, "rate": 2.0})


class SimCLR(Method):
    """Views of an image agree, views of different images do not; h goes through a two-layer projector to z.

    With more than two views, each pair of views is compared like two views, among the same two views of the other images.
    """

    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.views = large_and_small(options.views, options.small_views)
        self.pairs = pairs(options.views, options.small_views)
        self.temperature = options.temperature
        self.z_dim = options.projector_dim
        self.projector = mlp(encoder.dim, options.projector_hidden, options.projector_dim)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and `z_std`: the deviation of the unit-length z, near 1/sqrt(d) if healthy, 0 in collapse."""
        z = unit(self.project(representations(self.encoder, batch.views)))
        views = [gather(view) for view in z.chunk(len(batch.views))]  # the whole batch are candidates, on every process
        rows = own_part(len(views[0]))
        losses = [nt_xent(views[i], views[j], temperature=self.temperature, rows=rows) for i, j in self.pairs]
        return average(torch.stack(losses).mean()), {"z_std": views[0].detach().std(0).mean()}

    def project(self, h: Tensor) -> Tensor:
        """z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z


def nt_xent(first: Tensor, second: Tensor, *, temperature: float, rows: slice = slice(None)) -> Tensor:
    """The loss of equation 1, averaged over the views of the images in `rows`, by default all 2B (a scalar, in nats).

    first, second: (B, d) projections of the two views of each image, of unit length, float32 or float64. For a large batch
    the similarities are computed PART images at a time, and again for the gradient: memory grows with B, not with its square.
    """
    start, stop = rows.start or 0, len(first) if rows.stop is None else rows.stop
    if stop - start <= PART:
        return _nt_xent_of(first, second, temperature, rows)
    total = first.new_zeros(())
    for at in range(start, stop, PART):
        some = slice(at, min(at + PART, stop))
        loss = checkpoint(_nt_xent_of, first, second, temperature, some, use_reentrant=False, preserve_rng_state=False)
        total = total + (some.stop - at) * loss
    return total / (stop - start)


def _nt_xent_of(first: Tensor, second: Tensor, temperature: float, rows: slice) -> Tensor:
    z = torch.cat([first, second])
    views = torch.arange(len(z), device=z.device).view(2, -1)[:, rows]
    with torch.autocast(z.device.type, enabled=False):  # in bfloat16 the logits would have three digits
        similarity = (z[views.flatten()] / temperature) @ z.mT
    similarity.scatter_(1, views.reshape(-1, 1), -torch.inf)  # a view is not its own candidate
    return F.cross_entropy(similarity, views.flip(0).flatten())
