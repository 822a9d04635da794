"""Filters of the corruptions, on batches of pictures: shifts, blurs, enlargement, plasma, averages of pixels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

SIDE = 32  # pixels; lengths in pixels are for pictures of this side, and grow with it


def smoothed(
    x: Tensor, deviation: float, *, truncate: float = 4, mirror: bool = False, reach: int | None = None
) -> Tensor:  # fmt: skip
    """Pictures (N, C, H, W) blurred by a Gaussian, cut off after `truncate` deviations or `reach` pixels.

    Edges repeat, or with `mirror` the picture is mirrored there.
    """
    reach = int(truncate * deviation + 0.5) if reach is None else reach
    if not reach:
        return x
    weights = (-((torch.arange(-reach, reach + 1) / deviation) ** 2) / 2).exp()
    kernel = (weights / weights.sum()).view(1, 1, -1, 1)
    for axis in (2, 3):
        length = x.shape[axis]
        places = torch.arange(-reach, length + reach)
        around = torch.minimum(places % (2 * length), (2 * length - 1) - places % (2 * length))
        padded = x.index_select(axis, around if mirror else places.clamp(0, length - 1))
        made = F.conv2d(padded.flatten(0, 1)[:, None], kernel if axis == 2 else kernel.mT)
        x = made.view(*x.shape[:2], *made.shape[2:])
    return x


def taken(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each pixel replaced by the one that is `down` and `right` of it, integers (N, H, W) or (N, 1, 1); edges repeat."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height)[:, None] + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    places = (rows * width + columns).flatten(1)[:, None]
    return x.flatten(2).gather(2, places.expand(-1, x.shape[1], -1)).view(x.shape)


def streaked(x: Tensor, angles: Tensor, radius: float, deviation: float) -> Tensor:
    """ImageMagick's motion blur: one half of a Gaussian along each picture's own angle (N,), from the x axis down."""
    scale = x.shape[-1] / SIDE
    steps = torch.arange(2 * math.ceil(radius * scale) + 1)
    weights = (-((steps / (deviation * scale)) ** 2) / 2).exp()
    made = torch.zeros_like(x)
    for step, weight in zip(steps.tolist(), (weights / weights.sum()).tolist(), strict=True):
        down, right = ((step * of(angles) - 0.5).ceil().long().view(-1, 1, 1) for of in (torch.sin, torch.cos))
        made += weight * taken(x, down, right)
    return (made * 255).round() / 255


def enlarged(x: Tensor, zoom: float) -> Tensor:
    """The middle of pictures (N, C, S, S), enlarged to S pixels; corners of the part stay corners."""
    side = x.shape[-1]
    part = math.ceil(side / zoom)
    top, size = (side - part) // 2, round(part * zoom)
    large = F.interpolate(x[..., top : top + part, top : top + part], size=size, mode="bilinear", align_corners=True)
    edge = (size - side) // 2
    return large[..., edge : edge + side, edge : edge + side]


def plasma(count: int, side: int, random: Generator, *, decay: float) -> Tensor:
    """Heights (count, 1, side, side) in [0, 1] by the diamond-square algorithm; from step to step noise falls by decay^2."""
    size = 2 ** math.ceil(math.log2(side))
    heights, step, noise = torch.zeros(count, size, size), size, 1.0

    def moved(mean: Tensor) -> Tensor:
        return mean + noise * (2 * torch.rand(mean.shape, generator=random) - 1)

    while step > 1:
        half = step // 2
        corners = heights[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        heights[:, half::step, half::step] = middles = moved((pairs + pairs.roll(-1, 2)) / 4)
        below = middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        beside = middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)
        heights[:, ::step, half::step], heights[:, half::step, ::step] = moved(below / 4), moved(beside / 4)
        step, noise = half, noise / decay**2
    low, high = heights.amin((1, 2), keepdim=True), heights.amax((1, 2), keepdim=True)
    return ((heights - low) / (high - low))[:, None, :side, :side]


def box(size: int, wanted: int) -> Tensor:
    """The weights (wanted, size) of BOX."""
    scale = size / wanted
    centres, half = (torch.arange(wanted)[:, None] + 0.5) * scale, max(scale, 1) / 2
    places = torch.arange(size) + 0.5 - centres
    inside = ((places > -half) & (places <= half)).float()
    return inside / inside.sum(1, keepdim=True)
