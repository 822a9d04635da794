"""Toy: a teacher's view of the whole image is predicted from small views of it. It uses all that a method may (no arXiv id)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer import Option

from sslcli.methods.method import Batch, Method, ParameterGroup, ViewSpec
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen of the toy."""

    inertia: Annotated[float, Option(min=0, max=1, help="How much of the teacher stays at each step.")] = 0.9
    distance: Annotated[Literal["cosine", "euclid"], Option(help="What the loss is.")] = "cosine"
    temperature: Annotated[float, Option(min=0.01, help="What the loss is divided by.")] = 2.0


class Toy(Method):
    """A predictor on the trained encoder; a teacher that follows it slowly, and is what is measured."""

    views = (ViewSpec(augmentation={"crop_min": 0.9, "jitter": 0.0}), ViewSpec(count=2, part=0.5, augmentation={"blur": 1.0}))

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.options = options
        self.teacher = deepcopy(encoder).requires_grad_(False)
        self.predictor = nn.Linear(encoder.dim, encoder.dim)
        self.register_buffer("seen", torch.zeros(100_000, dtype=torch.int64))

    @property
    def evaluated(self) -> Encoder:
        """The teacher."""
        return self.teacher

    def parameter_groups(self) -> list[ParameterGroup]:
        """The predictor's rate does not fall."""
        return [ParameterGroup(parameters=list(self.predictor.parameters()), constant_lr=True, weight_decay=0.0)]

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and how often the images of the batch were seen so far."""
        whole, *small = batch.views
        with torch.no_grad():
            target = self.teacher(whole)
            self.seen[batch.rows] += 1
        p = self.predictor(self.encoder(torch.cat(small)))
        target = target.repeat(len(small), 1)
        loss = F.mse_loss(p, target) if self.options.distance == "euclid" else 1 - F.cosine_similarity(p, target).mean()
        return loss.float() / self.options.temperature, {"seen": self.seen[batch.rows].float().mean()}

    def after_step(self, progress: float) -> None:
        """The teacher follows."""
        with torch.no_grad():
            for old, new in zip(self.teacher.parameters(), self.encoder.parameters(), strict=True):
                old.lerp_(new, 1 - self.options.inertia)
