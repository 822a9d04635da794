"""Turn a picture into an encoder's input, always in the same way; an exported encoder takes this along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
import torchvision.transforms.v2.functional as F
from PIL import Image
from torch import Tensor

from sslcli.data.image_data import ImageData, centre
from sslcli.data.prepare import PADDING, Fit, UnknownRangeError, prepare
from sslcli.errors import UsageError


class Preprocessing(TypedDict):
    """The parameters of a Transform as plain data: sides in pixels, fit, mean and deviation (3)."""

    image_size: int
    kept_size: int
    fit: str
    mean: list[float]
    std: list[float]


def preprocessing(data: ImageData) -> Preprocessing:
    """The transform of the pictures of these data."""
    mean, std = data.normalisation
    return {
        "image_size": data.image_size, "kept_size": data.kept_size, "fit": data.fit, "mean": mean.tolist(), "std": std.tolist()
    }  # fmt: skip


@dataclass(frozen=True)
class Transform:
    """Turns a picture into what the encoder saw in training: a square of `kept` pixels, of which the central `size` are used.

    The square is the central one of the picture, or with fit "pad" the whole picture padded with grey; resized with
    antialiasing (bicubic). Then each channel is normalised: (value - mean) / std, values in [0, 1].
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    kept: int
    fit: Fit = "crop"

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        """A PIL picture or a tensor (3, H, W) to float32 (3, size, size); a tensor (N, 3, H, W) to (N, 3, size, size).

        Tensors are uint8, or floating-point in [0, 1]. A UsageError for others, and for pictures of unknown range
        (floating-point numbers or 32-bit integers).
        """
        values = self._of_picture(picture) if isinstance(picture, Image.Image) else self._of_tensor(picture)
        mean, std = (torch.tensor(known, device=values.device).view(3, 1, 1) for known in (self.mean, self.std))
        return (values - mean) / std

    def _of_picture(self, picture: Image.Image) -> Tensor:
        try:
            shown = prepare(picture, self.size, kept=self.kept, fit=self.fit)
        except UnknownRangeError as error:
            words = f"a picture of Pillow's mode {picture.mode!r}: {error}; accepted are those of 8 and 16 bits"
            raise UsageError(words) from error
        return torch.from_numpy(shown).float() / 255

    def _of_tensor(self, images: Tensor) -> Tensor:
        if images.ndim not in (3, 4) or images.shape[-3] != 3:
            raise UsageError(f"a tensor of shape {tuple(images.shape)}: accepted is (3, H, W) or (N, 3, H, W)")
        if images.dtype == torch.uint8:
            images = images.float() / 255
        elif not images.is_floating_point() or images.min() < 0 or images.max() > 1:
            found = f"{images.dtype}, {images.min():g} to {images.max():g}"
            raise UsageError(f"a tensor of {found}: accepted is uint8, or floating-point from 0 to 1; not normalised yet")
        height, width = images.shape[-2:]
        if (height, width) == (self.size, self.size):
            return images.float()
        scale = self.kept / (min if self.fit == "crop" else max)(height, width)
        sides = [max(1, round(scale * height)), max(1, round(scale * width))]
        smaller = F.resize(images.float(), sides, F.InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
        top, left = max(0, self.kept - sides[0]) // 2, max(0, self.kept - sides[1]) // 2
        rest = [left, top, max(0, self.kept - sides[1]) - left, max(0, self.kept - sides[0]) - top]
        return centre(F.center_crop(F.pad(smaller, rest, fill=[PADDING / 255]), [self.kept, self.kept]), self.size)
