"""What several methods put around their encoder: projectors, predictors, a teacher that follows, projections of unit length."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.distributed import gather

M = TypeVar("M", bound=nn.Module)


def mlp(*widths: int, norm: bool = True, last_norm: bool = False, last_affine: bool = True) -> nn.Sequential:
    """Linear layers (B, widths[0]) to (B, widths[-1]) with ReLU between them: a projector or a predictor.

    `norm` puts batch norm before each ReLU, `last_norm` after the last layer, without scale and offset if not `last_affine`.
    A layer that batch norm follows has no bias: the norm would take it away.
    """
    *hidden, (last_inputs, outputs) = pairwise(widths)
    layers: list[nn.Module] = []
    for inputs, width in hidden:
        layers += [nn.Linear(inputs, width, bias=not norm), *[nn.BatchNorm1d(width)] * norm, nn.ReLU(inplace=True)]
    layers.append(nn.Linear(last_inputs, outputs, bias=not last_norm))
    return nn.Sequential(*layers, *[nn.BatchNorm1d(outputs, affine=last_affine)] * last_norm)


def unit(z: Tensor) -> Tensor:
    """z (B, d) at unit length, in float32 at least: in bfloat16 a similarity would keep three digits."""
    return F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)))


def similarities(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Logits (N, M) of rows of unit length, (N, d) and (M, d): cosines over the temperature, never in bfloat16."""
    with torch.autocast(first.device.type, enabled=False):
        return (first / temperature) @ second.mT


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """The mean cosine of rows (B, d) and (B, d), in float32 at least."""
    return (unit(first) * unit(second)).sum(1).mean()


def z_std(z: Tensor) -> dict[str, Tensor]:
    """The deviation over the whole batch of unit-length z (B, d): near 1/sqrt(d) in health and 0 in collapse."""
    return {"z_std": gather(unit(z.detach())).std(0).mean()}


def teacher_of(student: M) -> M:
    """A copy that no gradient trains: `follow` moves it.

    It computes as its student does, in training mode: its batch norm takes its statistics from the batch.
    """
    return deepcopy(student).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, *, momentum: float) -> None:
    """Each weight of the teacher becomes momentum times itself and (1 - momentum) times its student's."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


def rising(momentum: float, progress: float) -> float:
    """A teacher's momentum after a part of training: up to 1 along half a cosine (BYOL, arXiv:2006.07733, section 3.2)."""
    return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2
