"""Is pretraining working? Measures of h and z of some training images after an epoch, and the limits of collapse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.errors import StateError

LEAST_SPREAD = 0.15  # of 1/sqrt(d), over batches. Measured: 0.24 to 1 in health, 0.03 to 0.19 in collapse; DINO from 0.18 on
LEAST_RANK = 0.05  # of the most that it can be. Measured: 0.4 to 0.6, trained or not
LEAST_RANKME = 1.5  # directions. Measured: from 1.76 on in health; 1.1 to 1.3 of SimSiam with a gradient through its target


def health(h: Tensor, *projections: Tensor) -> dict[str, float]:
    """Measures of representations h (N, dim) and, if given, of the projections (N, d) of two views of the same images.

    alignment: mean squared distance of the two unit-length views, 0 to 4; uniformity: logarithm of the mean of
    exp(-2 distance^2) over pairs, 0 in collapse (both Wang and Isola 2020, arXiv:2005.10242, alpha 2 and t 2). z_std: the mean
    deviation of unit-length z, 1/sqrt(d) if spread evenly. rank: effective rank of centred h, the exponential of its
    singular values' entropy (Roy and Vetterli 2007), at most min(N, dim). A single image has only an alignment; without
    images there is a StateError.
    """
    if not len(h):
        raise StateError("there are no images whose representations could be measured")
    of_z = _of_projections(*projections) if projections else {}
    return of_z | _of_representations(h) if len(h) > 1 else of_z


def _of_projections(first: Tensor, second: Tensor) -> dict[str, float]:
    first, second = F.normalize(_exact(first)), F.normalize(_exact(second))
    alignment = {"alignment": float((first - second).square().sum(1).mean())}
    if len(first) < 2:
        return alignment
    return alignment | {
        "uniformity": float(torch.pdist(first).square().mul(-2).exp().mean().log()),
        "z_std": float(first.std(0).mean()),
    }


def _of_representations(h: Tensor) -> dict[str, float]:
    h = _exact(h)
    values = torch.linalg.svdvals(h - h.mean(0))
    share = values / values.sum().clamp(min=1e-30)
    entropy = -torch.special.xlogy(share, share).sum()
    return {"rank": float(entropy.exp()) if values.sum() > 0 else 0.0}


def _exact(values: Tensor) -> Tensor:
    """The values in float64; on the CPU if they are on an Apple GPU, which has no such format."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def collapse(measured: dict[str, float], *, z_dim: int | None, h_dim: int, images: int) -> list[str]:
    """The measures, on a number of images, that indicate collapse, in words; empty if none does.

    `z_std` should be that of the training's batches. In evaluation mode batch norm uses running means, which lag behind in a
    short run: the z of healthy nets then look alike. A measure that is missing is not judged.
    """
    found = []
    if z_dim and measured.get("z_std", 1.0) < LEAST_SPREAD * z_dim**-0.5:
        found.append(f"the projections of different images are alike (deviation {measured['z_std']:.3f}, "
                     f"healthy is near {z_dim**-0.5:.3f})")  # fmt: skip
    if z_dim and measured.get("rankme", LEAST_RANKME) < LEAST_RANKME:
        found.append(f"the projections lie along one direction (RankMe {measured['rankme']:.2f} of {z_dim} dimensions)")
    if measured["rank"] < LEAST_RANK * min(h_dim, images - 1):
        found.append(f"the representation uses few of its {h_dim} dimensions (effective rank {measured['rank']:.1f})")
    return found
