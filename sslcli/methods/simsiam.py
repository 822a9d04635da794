"""SimSiam: exploring simple Siamese representation learning (Chen and He 2020, arXiv:2011.10566)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from typer import Option

from sslcli.distributed import average
from sslcli.methods.heads import cosine, mlp, z_std
from sslcli.methods.method import Batch, Method, ParameterGroup, ViewSpec
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of SimSiam. The heads are the paper's for CIFAR-10 (appendix D); ImageNet's projector has 3 layers.

    With --minutes the heads are narrower (docs/methods.md).
    """

    projector_layers: Annotated[int, Option(min=1, help="Layers of the projector.")] = 2
    projector_dim: Annotated[int, Option(min=1, help="Width of the projector, and length of the projection z.")] = 2048
    predictor_hidden: Annotated[int, Option(min=1, help="Width of the predictor's hidden layer, a bottleneck.")] = 512

    IN_MINUTES: ClassVar[Mapping[str, Any]] = {"projector_dim": 512, "predictor_hidden": 128}
    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"rate": 0.25}, {"projector_layers": 3}, {"predictor_hidden": 1024})


class SimSiam(Method):
    """Each view of an image predicts the projection of the other, which gets no gradient.

    With more than two views each predicts the mean of the others' projections (FastSiam, Pototzky et al. 2022). Deviation
    from the paper, effect not measured: biases and norms have no weight decay.
    """

    views = (ViewSpec(count=2),)
    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.z_dim = width = options.projector_dim
        self.projector = mlp(encoder.dim, *[width] * options.projector_layers, last_norm=True, last_affine=False)
        self.predictor = mlp(width, options.predictor_hidden, width)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The predictor's learning rate is constant (section 4.2)."""
        return [ParameterGroup(parameters=list(self.predictor.parameters()), constant_lr=True)]

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative cosine of prediction and target, averaged over the predicting views: -1 to 1."""
        z = [self.project(self.encoder(view)) for view in batch.views]
        fixed = torch.stack(z).detach()
        others = (fixed.sum(0) - fixed) / (len(z) - 1)
        losses = [-cosine(self.predictor(one), other) for one, other in zip(z, others, strict=True)]
        return average(torch.stack(losses).mean()), z_std(z[0])

    def project(self, h: Tensor) -> Tensor:
        """z of h."""
        z: Tensor = self.projector(h)
        return z
