"""The fifteen corruptions of CIFAR-10-C at five severities (Hendrycks and Dietterich 2019, arXiv 1903.12261), in batches.

The numbers are those of the published pictures of 32 pixels; on larger pictures lengths grow with the side. Deviations:

- Frost lies on the picture as a made texture; the authors used parts of six photographs.
- The random numbers are our own: a picture is corrupted as theirs, but with another draw.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from sslcli.data.batches import generator
from sslcli.data.image_data import in_parts
from sslcli.data.picture_filters import SIDE, box, enlarged, plasma, smoothed, streaked, taken

SEVERITIES = (1, 2, 3, 4, 5)
VALUES = 2**23  # numbers of the pictures that are corrupted at a time: some filters hold ten times as many
Apply = Callable[..., Tensor]


@dataclass(frozen=True)
class Corruption:
    """`apply(x, random, *numbers)` corrupts pictures x (N, 3, H, W) in [0, 1]; `numbers` has those of each severity."""

    apply: Apply
    numbers: Sequence[tuple[float, ...]]


def corrupt(images: Tensor, name: str, *, severity: int, seed: int) -> Tensor:
    """Images (N, 3, S, S) uint8 with a corruption of CORRUPTIONS at a severity from 1 to 5; the same every time.

    Values are cut to whole numbers, as in the published pictures.
    """
    kind, random = CORRUPTIONS[name], generator(seed, "corruption", name, severity)
    made = []
    for some in in_parts(images, VALUES // images[:1].numel()):
        changed = kind.apply(some.float() / 255, random, *kind.numbers[severity - 1])
        made.append((changed.clamp(0, 1) * 255 + 1e-3).to(torch.uint8))  # so that rounding moves no whole number
    return torch.cat(made)


def _gaussian_noise(x: Tensor, random: Generator, deviation: float) -> Tensor:
    return x + deviation * torch.randn(x.shape, generator=random)


def _shot_noise(x: Tensor, random: Generator, photons: float) -> Tensor:
    return torch.poisson(x * photons, generator=random) / photons


def _impulse_noise(x: Tensor, random: Generator, share: float) -> Tensor:
    hit, white = torch.rand(2, *x.shape, generator=random).unbind()
    return torch.where(hit < share, (white < 0.5).float(), x)


def _defocus_blur(x: Tensor, _: Generator, radius: float, deviation: float) -> Tensor:
    """A disk with a soft edge: the Gaussian that softens it has one pixel to each side, for 32 pixels."""
    scale = x.shape[-1] / SIDE
    radius, soft = radius * scale, max(1, round(scale))
    reach = math.ceil(radius) + soft
    axis = torch.arange(-reach, reach + 1.0)
    disk = (axis[:, None] ** 2 + axis**2 <= radius**2).float()
    kernel = smoothed((disk / disk.sum())[None, None], deviation * scale, reach=soft)
    padded = F.pad(x, [reach] * 4, mode="reflect").flatten(0, 1)[:, None]
    return F.conv2d(padded, kernel).view(x.shape)


def _glass_blur(x: Tensor, random: Generator, deviation: float, most: float, rounds: float) -> Tensor:
    """Each pixel takes the colour of one up to `most` pixels above and to the left, or its own, between two blurs.

    The authors meant to exchange the two pixels; their program copies one.
    """
    scale = x.shape[-1] / SIDE
    deviation, most, (count, _, height, width) = deviation * scale, max(1, round(most * scale)), x.shape
    x = (smoothed(x, deviation) * 255 + 1e-3).floor() / 255
    inner = torch.zeros(height, width, dtype=torch.bool)
    inner[most + 1 : height - most + 1, most + 1 : width - most + 1] = True
    for _ in range(int(rounds)):
        moves = torch.randint(-most, most, (2, count, height, width), generator=random) * inner
        x = taken(x, moves[0], moves[1])
    return smoothed(x, deviation)


def _motion_blur(x: Tensor, random: Generator, radius: float, deviation: float) -> Tensor:
    return streaked(x, _angles(len(x), random, -45, 45), radius, deviation)


def _angles(count: int, random: Generator, low: float, high: float) -> Tensor:
    return torch.deg2rad(torch.rand(count, generator=random) * (high - low) + low)


def _zoom_blur(x: Tensor, _: Generator, zooms: float) -> Tensor:
    """The mean of a picture and its first `zooms` enlargements, which grow by a hundredth from 1.00 on."""
    return (x + sum(enlarged(x, 1 + step / 100) for step in range(int(zooms)))) / (zooms + 1)


def _snow(
    x: Tensor, random: Generator, mean: float, deviation: float, zoom: float, least: float, radius: float, streak: float,
    share: float,
) -> Tensor:  # fmt: skip
    """Flakes that fell in two opposite directions, on a picture that is whitened."""
    flakes = mean + deviation * torch.randn(len(x), 1, *x.shape[-2:], generator=random)
    flakes = enlarged(flakes, max(1.0, zoom * x.shape[-1] / SIDE))
    flakes = (torch.where(flakes < least, 0.0, flakes).clamp(0, 1) * 255).floor() / 255
    flakes = streaked(flakes, _angles(len(x), random, -135, -45), radius, streak)
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    whitened = share * x + (1 - share) * torch.maximum(x, 1.5 * grey + 0.5)
    return whitened + flakes + flakes.rot90(2, (2, 3))


def _frost(x: Tensor, random: Generator, of_picture: float, of_frost: float) -> Tensor:
    """Bright bluish veins along the middle heights of a plasma: our own texture."""
    veins = (1 - (2 * plasma(len(x), x.shape[-1], random, decay=1.75) - 1).abs()) ** 2
    tint = torch.tensor([0.82, 0.92, 1.0]).view(3, 1, 1)
    return of_picture * x + of_frost * tint * (0.3 + 0.7 * veins)


def _fog(x: Tensor, random: Generator, strength: float, decay: float) -> Tensor:
    brightest = x.amax((1, 2, 3), keepdim=True)
    return (x + strength * plasma(len(x), x.shape[-1], random, decay=decay)) * brightest / (brightest + strength)


def _brightness(x: Tensor, _: Generator, more: float) -> Tensor:
    """A larger V of HSV, with H and S as they are: all channels grow in proportion, and black becomes grey."""
    value = x.amax(1, keepdim=True)
    brighter = (value + more).clamp(0, 1)
    return torch.where(value > 0, x * brighter / value.clamp(min=1e-6), brighter)


def _contrast(x: Tensor, _: Generator, share: float) -> Tensor:
    means = x.mean((2, 3), keepdim=True)
    return (x - means) * share + means


def _elastic_transform(x: Tensor, random: Generator, strength: float, deviation: float, shift: float) -> Tensor:
    """Three points of a picture are moved and the rest follows; then each pixel is moved, and its neighbours alike.

    All numbers are shares of the side.
    """
    count, _, _, side = x.shape
    middle, third = side // 2, side // 3
    points = torch.tensor([[middle + third] * 2, [middle + third, middle - third], [middle - third] * 2]).float()
    moved = points + side * shift * (2 * torch.rand(count, 3, 2, generator=random) - 1)
    back = torch.linalg.solve(F.pad(moved, (0, 1), value=1.0), points.expand(count, -1, -1))  # from moved points to old ones
    axis = torch.arange(side).float()
    pixel = torch.stack([axis.expand(side, -1), axis[:, None].expand(-1, side), torch.ones(side, side)], dim=2)
    places = (pixel.view(1, -1, 3) @ back).view(count, side, side, 2)
    x = F.grid_sample(x, 2 * places / (side - 1) - 1, padding_mode="reflection", align_corners=True)
    noise = 2 * torch.rand(count, 2, side, side, generator=random) - 1
    field = side * strength * smoothed(noise, side * deviation, truncate=3, mirror=True)
    places = pixel[..., :2] + field.permute(0, 2, 3, 1)
    return F.grid_sample(x, (2 * places + 1) / side - 1, padding_mode="reflection", align_corners=False)


def _pixelate(x: Tensor, _: Generator, share: float) -> Tensor:
    """Fewer pixels and back, as Pillow's filter BOX: each pixel is the mean of those whose middle lies in it."""
    side, fewer = x.shape[-1], int(x.shape[-1] * share)
    for matrix in (box(side, fewer), box(fewer, side)):
        across = (x @ matrix.mT * 255).round() / 255
        x = ((matrix @ across) * 255).round() / 255
    return x


def _jpeg_compression(x: Tensor, _: Generator, quality: float) -> Tensor:
    """Saved as JPEG by Pillow, one by one: torch has no coder of its own."""
    rows = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    read = np.empty_like(rows)
    for place, pixels in enumerate(rows):
        Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=int(quality))
        read[place] = np.asarray(Image.open(file))
    return torch.from_numpy(read).permute(0, 3, 1, 2).float() / 255


def _of(apply: Apply, *numbers: float | tuple[float, ...]) -> Corruption:
    return Corruption(apply, [number if isinstance(number, tuple) else (number,) for number in numbers])


CORRUPTIONS = {
    "gaussian_noise": _of(_gaussian_noise, 0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": _of(_shot_noise, 500, 250, 100, 75, 50),
    "impulse_noise": _of(_impulse_noise, 0.01, 0.02, 0.03, 0.05, 0.07),
    "defocus_blur": _of(_defocus_blur, (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "glass_blur": _of(_glass_blur, (0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "motion_blur": _of(_motion_blur, (6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "zoom_blur": _of(_zoom_blur, 7, 12, 16, 21, 26),
    "snow": _of(_snow, (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
                (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8)),
    "frost": _of(_frost, (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "fog": _of(_fog, (0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "brightness": _of(_brightness, 0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": _of(_contrast, 0.75, 0.5, 0.4, 0.3, 0.15),
    "elastic_transform": _of(_elastic_transform, (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
                             (0.1, 0.03, 0.03)),
    "pixelate": _of(_pixelate, 0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg_compression": _of(_jpeg_compression, 80, 65, 58, 50, 40),
}  # fmt: skip
"""Every corruption by the name of its file in CIFAR-10-C, in the paper's order."""
