"""A person's own pictures, a few of them, brought to the size that an encoder was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from sslcli.errors import StateError, UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def read_images(paths: Sequence[Path], *, size: int) -> list[tuple[Path, Tensor]]:
    """Each picture as uint8 (3, size, size): turned as its EXIF says, its central square, made smaller with antialiasing.

    A folder stands for the pictures in it. A StateError for what is not there, a UsageError for what is no picture.
    """
    return [(path, _read(path, size)) for named in paths for path in _listed(named)]


def _listed(path: Path) -> list[Path]:
    if path == Path():
        raise UsageError("--images names a picture or a folder; not nothing")
    if not path.exists():
        raise StateError(f"--images {path}: there is no such file")
    if not path.is_dir():
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
    if not found:
        raise StateError(f"--images {path}: no picture in this folder; looked for: {', '.join(SUFFIXES)}")
    return found


def _read(path: Path, size: int) -> Tensor:
    try:
        with Image.open(path) as picture:
            upright = _eight_bits(ImageOps.exif_transpose(picture)).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"--images {path} is no picture that can be read: {error}") from error
    square: Tensor = pil_to_tensor(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC))
    return square


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel with 8; Pillow itself would cut all above 255 off. Of floats the range is not known."""
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).clip(0, 65535) / 257).round().astype(np.uint8))
