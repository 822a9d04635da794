"""Patchwork: colour pictures made on the spot, from which an encoder learns much in a minute on two CPU cores.

A picture of 32x32 pixels consists of four patches. Each patch has its own two colours, drawn independently of the kind, and a
figure of the picture's kind in one of them, at any place and angle. All is grainy. So two crops of a picture share little
but the kind, and the grain hides the kind from a random encoder. The kinds are those of `shapes`, which is harder: its figures
are smaller, and two crops also share the ground.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.data.image_data import ImageData
from sslcli.data.sets.shapes import OUTLINES, cover, drawn_with

SIZE, ROWS = 32, 2
SIDE = SIZE // ROWS  # of a patch, in pixels
GRAIN = 0.2
TRAIN, TEST = 6_000, 2_000


def load(data_dir: Path, *, download: bool) -> ImageData:
    """Make 6,000 training and 2,000 test pictures, the same every time; nothing is read or downloaded."""
    return drawn_with(make_patchwork, TRAIN, TEST)


def make_patchwork(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Images (count, 3, 32, 32) uint8 and labels (count,), with classes as equal in number as `count` allows."""
    random = generator(seed, "patchwork")
    labels = (torch.arange(count) % len(OUTLINES))[torch.randperm(count, generator=random)]
    patches = _patches(labels.repeat_interleave(ROWS * ROWS), random).view(count, ROWS, ROWS, 3, SIDE, SIDE)
    images = patches.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, SIZE, SIZE)
    images = images + GRAIN * torch.randn(images.shape, generator=random)
    return (images.clamp(0, 1) * 255).round().to(torch.uint8), labels


def _patches(kinds: Tensor, random: torch.Generator) -> Tensor:
    """Patches (P, 3, 16, 16), from 0 to 1, each with a figure of its kind (P,): light on dark, or dark on light."""
    count = len(kinds)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=random) * (high - low) + low

    light, dark = uniform(0.55, 1.0, 3, 1, 1), uniform(0.0, 0.45, 3, 1, 1)
    is_light = uniform(0, 1, 1, 1, 1) < 0.5
    radius, turn = uniform(0.36, 0.46, 1, 1) * SIDE, uniform(0, 2 * math.pi, 1, 1)
    room = 0.7 * (SIDE / 2 - radius)  # how far a figure is moved from the middle, at most
    y, x = (SIDE / 2 + uniform(-1, 1, 1, 1) * room for _ in range(2))
    pixel = torch.arange(SIDE) + 0.5
    dy, dx = (pixel.view(1, -1, 1) - y) / radius, (pixel.view(1, 1, -1) - x) / radius
    u, v = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    covers = torch.empty(count, 1, SIDE, SIDE)
    for kind, outline in enumerate(OUTLINES.values()):
        of_kind = kinds == kind
        covers[of_kind] = cover(outline, u[of_kind], v[of_kind], radius[of_kind])[:, None]
    ground = torch.where(is_light, dark, light)
    return ground + covers * (light + dark - 2 * ground)
