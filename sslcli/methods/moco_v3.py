"""MoCo v3: an empirical study of training self-supervised vision transformers (Chen et al. 2021, arXiv:2104.02057)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer import Option

from sslcli.distributed import average, gather, own_part
from sslcli.methods.heads import follow, mlp, rising, similarities, teacher_of, unit, z_std
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.shared_options import PredictorHidden, ProjectorDim, RisingMomentum, Temperature
from sslcli.models.encoder import Encoder

PATCHES = ("backbone.conv_proj.", "backbone.patch_embed.")
"""Prefixes of the parameters of a transformer's patch projection: torchvision's, and timm's."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of MoCo v3. The number of projector layers is that for a ResNet, the temperature that for a ViT.

    The authors' program has temperature 1.0 for a ResNet. The effect was not measured.
    """

    projector_layers: Annotated[int, Option(min=1, help="Layers of the projector; the paper has 3 for a ViT.")] = 2
    projector_hidden: Annotated[int, Option(min=1, help="Width of the projector's hidden layers.")] = 4096
    projector_dim: ProjectorDim = 256
    predictor_hidden: PredictorHidden = 4096
    temperature: Temperature = 0.2
    teacher_momentum: RisingMomentum = 0.99

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"temperature": 0.1}, {"temperature": 1.0}, {"teacher_momentum": 0.95})


class MoCoV3(Method):
    """The student's prediction from one view finds the teacher's key from the other among the keys of the batch.

    The patch projection of a vision transformer is frozen (section 4.2). Deviations from the paper, effects not measured: the
    paper's two views differ in blur and solarisation, here they have the same distribution; the predictor has no norm at its
    end (as the authors' for a ResNet), with a ViT too. The optimizer is the run's, not LARS or AdamW at the paper's rates.
    """

    views = (ViewSpec(count=2),)
    same_each_step = True

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.temperature, self.momentum, self.z_dim = options.temperature, options.teacher_momentum, options.projector_dim
        hidden = [options.projector_hidden] * (options.projector_layers - 1)
        self.projector = mlp(encoder.dim, *hidden, options.projector_dim, last_norm=True, last_affine=False)
        self.predictor = mlp(options.projector_dim, options.predictor_hidden, options.projector_dim)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(not name.startswith(PATCHES))
        self.teacher = teacher_of(nn.Sequential(encoder, self.projector))

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of algorithm 1, in both directions, times twice the temperature."""
        z = [self.project(self.encoder(view)) for view in batch.views]
        with torch.no_grad():
            first, second = (gather(unit(self.teacher(view))) for view in batch.views)
        loss = self._contrast(z[0], second) + self._contrast(z[1], first)
        return average(loss), z_std(z[0])

    def _contrast(self, z: Tensor, keys: Tensor) -> Tensor:
        logits = similarities(unit(self.predictor(z)), keys, temperature=self.temperature)
        places = torch.arange(len(keys), device=keys.device)[own_part(len(keys))]
        return 2 * self.temperature * F.cross_entropy(logits, places)

    def project(self, h: Tensor) -> Tensor:
        """The student's z of h, not yet of unit length."""
        z: Tensor = self.projector(h)
        return z

    def after_step(self, progress: float) -> None:
        """The teacher follows the student."""
        follow(self.teacher, nn.Sequential(self.encoder, self.projector), momentum=rising(self.momentum, progress))
