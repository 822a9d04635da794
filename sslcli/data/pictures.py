"""Picture files of many kinds to upright sRGB pixels as the eye would see them. Imports no torch: it runs in many processes."""

from __future__ import annotations

import errno
import io
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
LARGEST = 100_000_000  # pixels; what claims more is not opened, for it may be a bomb
SHARPER = 2  # a JPEG is decoded to at least so many times the side that is wanted, which saves most of its work
PADDING = 128  # the grey beside a picture that is padded
SRGB = ImageCms.createProfile("sRGB")

Fit = Literal["crop", "pad"]
"""How a picture becomes square: its central square, or the whole of it with grey beside it."""


PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
"""What goes wrong with a machine, not with a file: not to be remembered of it."""


class BrokenPictureError(ValueError):
    """A file that is no picture that can be read; says why."""


def read_rgb(path: Path, *, side: int | None = None) -> Image.Image:
    """The first frame of a picture as upright RGB; of a JPEG perhaps smaller, but with at least `side` pixels a side.

    Turned as its EXIF says; brought to sRGB where it names its colours' profile; laid on white where it is transparent;
    16 bits brought to 8. A BrokenPictureError for all that is no whole picture; an OSError in PASSING, and a MemoryError, stay.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit of pixels, and odd metadata that do no harm
            with Image.open(path) as picture:
                if picture.width * picture.height > LARGEST:
                    raise BrokenPictureError(f"{picture.width} x {picture.height} pixels, more than {LARGEST:,}")
                if side:
                    picture.draft(None, (SHARPER * side, SHARPER * side))
                return rgb_of(ImageOps.exif_transpose(picture))
    except BrokenPictureError:
        raise
    except MemoryError:
        raise
    except UnidentifiedImageError:
        raise BrokenPictureError("no picture of a known format" if path.stat().st_size else "an empty file") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno in PASSING:
            raise
        raise BrokenPictureError(f"{type(error).__name__}: {error}".split("\n")[0][:200]) from error


def rgb_of(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB, as the eye sees it; a ValueError for pixels whose range is not known."""
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if picture.mode.startswith("I"):  # Pillow itself would cut all above 255 off
        wide = np.asarray(picture)
        return Image.fromarray((wide.clip(0, 65535) / 257).round().astype(np.uint8)).convert("RGB")
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK"):
        return _through_profile(picture, profile)
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        alpha = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha).convert("RGB")
    return picture.convert("RGB")


def _through_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    """The picture in sRGB by its own profile; by its plain values where the profile is of no use."""
    try:
        made: Any = ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture.convert("RGB")
    found: Image.Image = made
    return found


def squared(picture: Image.Image, side: int, fit: Fit) -> NDArray[np.uint8]:
    """An RGB picture as (3, side, side) uint8, resized with antialiasing: cropped to its centre, or padded with grey."""
    if fit == "crop":
        made = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)
    else:
        made = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=(PADDING,) * 3)
    return np.ascontiguousarray(np.asarray(made).transpose(2, 0, 1))


def size_of(path: Path) -> int | None:
    """The shorter side of a picture by its header; None if it cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return min(picture.size)
    except Exception:  # as in read_rgb; decoding it will say why
        return None
