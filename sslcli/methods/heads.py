"""Parts that several methods put around their encoder: projectors, predictors, a teacher, projections of unit length."""

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
    A layer before batch norm has no bias: the norm would remove it.
    """
    *hidden, (last_inputs, outputs) = pairwise(widths)
    layers: list[nn.Module] = []
    for inputs, width in hidden:
        layers += [nn.Linear(inputs, width, bias=not norm), *[nn.BatchNorm1d(width)] * norm, nn.ReLU(inplace=True)]
    layers.append(nn.Linear(last_inputs, outputs, bias=not last_norm))
    return nn.Sequential(*layers, *[nn.BatchNorm1d(outputs, affine=last_affine)] * last_norm)


def unit(z: Tensor) -> Tensor:
    """z (B, d) at unit length, at least in float32: in bfloat16 a similarity has only three digits."""
    return F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)))


def similarities(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Logits (N, M) of rows of unit length, (N, d) and (M, d): cosines divided by the temperature, never in bfloat16."""
    with torch.autocast(first.device.type, enabled=False):
        return (first / temperature) @ second.mT


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """The mean cosine of rows (B, d) and (B, d), at least in float32."""
    return (unit(first) * unit(second)).sum(1).mean()


def z_std(z: Tensor) -> dict[str, Tensor]:
    """The deviation of unit-length z (B, d) over the whole batch: near 1/sqrt(d) if healthy, 0 in collapse."""
    return {"z_std": gather(unit(z.detach())).std(0).mean()}


def teacher_of(student: M) -> M:
    """A copy without gradients, which `follow` moves.

    It computes like its student, in training mode: its batch norm takes its statistics from the batch.
    """
    return deepcopy(student).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, *, momentum: float) -> None:
    """Each weight of the teacher becomes momentum times itself and (1 - momentum) times its student's."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


def rising(momentum: float, progress: float) -> float:
    """A teacher's momentum after a fraction of training; it rises to 1 along half a cosine (BYOL, 2006.07733, section 3.2)."""
    return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2
