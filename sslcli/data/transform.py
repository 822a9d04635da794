"""A picture to an encoder's input, the same way for every picture: what goes along with an encoder that leaves this program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torchvision.transforms.v2.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from sslcli.data.image_data import ImageData
from sslcli.data.pictures import rgb_of, squared
from sslcli.errors import UsageError


def preprocessing(data: ImageData) -> dict[str, Any]:
    """What a data set's images become an encoder's input with, in plain data: pixels a side, mean and deviation (3)."""
    mean, std = data.normalisation
    return {"image_size": data.image_size, "mean": mean.tolist(), "std": std.tolist()}


@dataclass(frozen=True)
class Transform:
    """A picture's central square of `size` pixels, made smaller with antialiasing (bicubic), and normalised.

    Normalised: (value - mean) / std of each channel, values in [0, 1].
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        """A PIL picture or a tensor (3, H, W) to float32 (3, size, size); a tensor (N, 3, H, W) to (N, 3, size, size).

        Tensors are uint8, or floating-point in [0, 1]; others, and pictures of floating-point numbers, are a UsageError.
        """
        pixels = _tensor_of(picture, self.size) if isinstance(picture, Image.Image) else self._square(picture)
        mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std

    def _square(self, images: Tensor) -> Tensor:
        if images.ndim not in (3, 4) or images.shape[-3] != 3:
            raise UsageError(f"a tensor of shape {tuple(images.shape)}: accepted is (3, H, W) or (N, 3, H, W)")
        if images.dtype == torch.uint8:
            images = images.float() / 255
        elif not images.is_floating_point() or images.min() < 0 or images.max() > 1:
            found = f"{images.dtype}, {images.min():g} to {images.max():g}"
            raise UsageError(f"a tensor of {found}: accepted is uint8, or floating-point from 0 to 1; not normalised yet")
        if images.shape[-2:] == (self.size, self.size):
            return images.float()
        smaller = F.resize(images.float(), [self.size], F.InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
        square: Tensor = F.center_crop(smaller, [self.size, self.size])
        return square


def _tensor_of(picture: Image.Image, size: int) -> Tensor:
    """(3, size, size), values in [0, 1], of a picture, upright and as the eye sees it."""
    try:
        upright = rgb_of(ImageOps.exif_transpose(picture))
    except ValueError as error:
        raise UsageError(
            f"a picture of Pillow's mode {picture.mode!r}: {error}; accepted are those of whole numbers"
        ) from error
    return torch.from_numpy(squared(upright, size, "crop")).float() / 255
