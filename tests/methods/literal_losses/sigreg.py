"""arXiv:2511.08544: algorithm 1 on 17 points from -5 to 5, and the distance of all views from the mean of the large ones."""

import math
from typing import Any

import torch
from torch import Tensor

from sslcli.methods.multi_view import representations
from sslcli.methods.sigreg import random_directions
from tests.methods.literal_losses import mean

VARIANTS = ({"gaussian": 0.4, "views": 3}, {"views": 2, "small_views": 2})


def literal_epps_pulley(z: Tensor, direction: Tensor) -> Tensor:
    """Of z (B, d) along one direction, by the trapezoidal rule, in complex numbers."""
    x = [row @ direction for row in z]
    t = torch.linspace(-5, 5, 17, dtype=z.dtype)
    heights = []
    for point in t:
        gaussian = math.exp(-(float(point) ** 2) / 2)
        found = mean([torch.exp(1j * point * value) for value in x])
        heights.append((found - gaussian).abs() ** 2 * gaussian)
    area = sum((t[k + 1] - t[k]) * (heights[k] + heights[k + 1]) / 2 for k in range(16))
    return len(x) * area  # type: ignore[return-value]


def _projections(method: Any, batch: Any) -> list[Tensor]:
    return list(method.project(representations(method.encoder, batch.views)).chunk(len(batch.views)))


def _directions(method: Any, z: Tensor) -> Tensor:
    """Those that the method will draw next."""
    with torch.random.fork_rng(devices=[]):
        return random_directions(method.options.directions, z)


def literal(method: Any, batch: Any) -> Tensor:
    z = _projections(method, batch)
    directions = _directions(method, z[0])
    statistics = [literal_epps_pulley(view, direction) for view in z for direction in directions.T]
    centre = mean(z[: method.options.views])
    distances = [((view - centre) ** 2).mean() for view in z]
    return method.options.gaussian * mean(statistics) + (1 - method.options.gaussian) * mean(distances)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss.lejepa_loss import LeJEPALoss, lejepa_invariance_loss

    z, share = torch.stack(_projections(method, batch)), method.options.gaussian
    loss = LeJEPALoss(sigreg_t_max=5.0, sigreg_knots=9).double()
    loss.sigreg._generate_unit_vectors = lambda *_: _directions(method, z)
    large = z[: method.options.views]
    total: Tensor = share * loss.sigreg(z) + (1 - share) * lejepa_invariance_loss(all_proj=z, global_proj=large)
    return total
