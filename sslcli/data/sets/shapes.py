"""Shapes: colour pictures made on the spot, whose class shows only in the shape.

A picture of 32x32 pixels shows four things of one kind on a mottled ground. The place, angle, size and colour of each thing
and the ground are drawn independently of the kind, so a random encoder's colour and texture statistics say little. Two
crops of a picture show different things of the same kind: they share the shape, so a method that compares views can find it
without labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.data.image_data import ImageData

SIZE, THINGS = 32, 4
TRAIN, TEST = 10_000, 2_000


def _box(u: Tensor, v: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    sides = [u * math.sin(2 * math.pi * k / 3) + v * math.cos(2 * math.pi * k / 3) for k in range(3)]
    return torch.stack(sides).amax(0) - 0.5


OUTLINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "disc": lambda u, v: torch.hypot(u, v) - 0.8,
    "ring": lambda u, v: (torch.hypot(u, v) - 0.7).abs() - 0.22,
    "square": lambda u, v: _box(u, v, 0.7, 0.7),
    "frame": lambda u, v: (torch.maximum(u.abs(), v.abs()) - 0.65).abs() - 0.2,
    "triangle": _triangle,
    "star": lambda u, v: torch.hypot(u, v) - 0.6 - 0.35 * torch.cos(5 * torch.atan2(v, u)),
    "cross": lambda u, v: torch.minimum(_box(u, v, 0.27, 0.9), _box(u, v, 0.9, 0.27)),
    "bar": lambda u, v: _box(u, v, 0.25, 1.0),
    "crescent": lambda u, v: torch.maximum(torch.hypot(u, v) - 0.9, 0.75 - torch.hypot(u - 0.45, v)),
    "corner": lambda u, v: torch.minimum(_box(u + 0.5, v, 0.25, 0.85), _box(u, v + 0.6, 0.75, 0.25)),
}
"""Each class to the approximate signed distance from its outline: negative inside; (u, v) in units of the thing's radius."""

AREA = 1.4  # of every thing, in squared radii; equal, so that the spread of colours does not show the kind


def _area(outline: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The area inside an outline, counted on a grid."""
    axis = torch.linspace(-1.5, 1.5, 151)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    return float((outline(u, v) < 0).sum()) * 0.02**2


def cover(outline: Callable[[Tensor, Tensor], Tensor], u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    """The part of each pixel that a thing covers, 0 to 1; edges are one pixel soft. `radius` in pixels, (u, v) in radii."""
    size = (AREA / _area(outline)) ** 0.5
    distance: Tensor = outline(u / size, v / size) * radius * size
    return (0.5 - distance).clamp(0, 1)


def load(data_dir: Path, *, download: bool) -> ImageData:
    """Make 10,000 training and 2,000 test pictures, the same every time; nothing is read or downloaded."""
    return drawn_with(make_shapes, TRAIN, TEST)


def drawn_with(make: Callable[..., tuple[Tensor, Tensor]], train: int, test: int) -> ImageData:
    """A data set of outlines: training images that `make` draws from seed 1, and test images from seed 2."""
    (train_images, train_labels), (test_images, test_labels) = make(train, seed=1), make(test, seed=2)
    return ImageData(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(OUTLINES),
    )


def make_shapes(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Images (count, 3, 32, 32) uint8 and labels (count,), with classes as equal in number as `count` allows."""
    random = generator(seed, "shapes")
    labels = (torch.arange(count) % len(OUTLINES))[torch.randperm(count, generator=random)]
    images = _grounds(count, random)
    brightness = images.mean((1, 2, 3))
    cells = torch.rand(count, 9, generator=random).argsort(1)[:, :THINGS]  # cells of a 3x3 grid, so that few things overlap
    for thing in range(THINGS):
        covers = torch.empty(count, 1, SIZE, SIZE)
        u, v, radius = _places(cells[:, thing], random)
        for label, outline in enumerate(OUTLINES.values()):
            of_class = labels == label
            covers[of_class] = cover(outline, u[of_class], v[of_class], radius[of_class])[:, None]
        images = images + covers * (_colours(brightness, random) - images)
    images = images + 0.04 * torch.randn(images.shape, generator=random)
    return (images.clamp(0, 1) * 255).round().to(torch.uint8), labels


def _grounds(count: int, random: torch.Generator) -> Tensor:
    """Mottled grounds (count, 3, 32, 32): a colour, with coarse and fine stains."""
    ground = torch.rand(count, 3, 1, 1, generator=random) * 0.6 + 0.2
    for cells, strength in ((3, 0.15), (8, 0.1)):
        stains = torch.randn(count, 3, cells, cells, generator=random) * strength
        ground = ground + F.interpolate(stains, size=SIZE, mode="bilinear", align_corners=False)
    return ground.clamp(0, 1)


def _places(cells: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Every pixel's coordinates (count, 32, 32) in the frame of a thing in the given cell, and its radius in pixels."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(len(cells), 1, 1, generator=random) * (high - low) + low

    y = (cells // 3).view(-1, 1, 1) * SIZE / 3 + SIZE / 6 + uniform(-1.5, 1.5)
    x = (cells % 3).view(-1, 1, 1) * SIZE / 3 + SIZE / 6 + uniform(-1.5, 1.5)
    radius, turn = uniform(4.0, 6.0), uniform(0, 2 * math.pi)
    pixel = torch.arange(SIZE) + 0.5
    dy, dx = (pixel.view(1, -1, 1) - y) / radius, (pixel.view(1, 1, -1) - x) / radius
    return dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin(), radius


def _colours(brightness: Tensor, random: torch.Generator) -> Tensor:
    """A colour (count, 3, 1, 1) for a thing, lighter or darker than its ground, so that grey views show it too."""
    count = len(brightness)
    step = torch.rand(count, 1, generator=random) * 0.25 + 0.3
    lighter = torch.rand(count, 1, generator=random) < (0.85 - brightness[:, None]).clamp(0, 1)
    tint = torch.randn(count, 3, generator=random) * 0.15
    colour = brightness[:, None] + torch.where(lighter, step, -step) + tint - tint.mean(1, keepdim=True)
    return colour.clamp(0, 1).view(-1, 3, 1, 1)
