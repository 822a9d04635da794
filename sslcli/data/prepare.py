"""A picture of any kind, as Pillow opens it, to the upright RGB square that an encoder is shown.

Needs Pillow and numpy alone, and imports nothing of this program: `ssl export` puts this very file beside the weights.
"""

from __future__ import annotations

import io
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

PADDING = 128  # the grey beside a picture that is padded
SIXTEEN = 2**16 - 1  # white in 16 bits
WHITES = tuple(2**bits - 1 for bits in range(9, 16))  # of 9 to 15 bits
BITS, LARGEST_VALUE = 258, 281  # TIFF's tags BitsPerSample and MaxSampleValue
OF_16_BITS = ("PNG", "PPM")  # formats of which Pillow has mode "I" too, with values to 65,535
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""A profile's colour space to the mode of the pictures that it is for."""

Fit = Literal["crop", "pad"]
"""How a picture becomes square: its central square, or the whole of it with grey beside it."""


class UnknownRangeError(ValueError):
    """A picture of which it is not known which value is white; says why."""


def prepare(picture: Image.Image, size: int, *, kept: int | None = None, fit: Fit = "crop") -> NDArray[np.uint8]:
    """A picture as (3, size, size) uint8: brought to a square of `kept` pixels (default: size), and of that the centre.

    An UnknownRangeError for pixels whose range is not known.
    """
    square = squared(rgb_of(picture), kept or size, fit)
    begin = (square.shape[1] - size) // 2
    return np.ascontiguousarray(square[:, begin : begin + size, begin : begin + size])


def rgb_of(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB, as the eye sees it: turned as its EXIF says, in sRGB, on white where it is transparent.

    More than 8 bits are brought to 8. An UnknownRangeError for pixels whose range is not known.
    """
    white, profile = white_of(picture), picture.info.get("icc_profile")
    upright = ImageOps.exif_transpose(picture)
    if white is not None:
        upright = _of_eight_bits(upright, white)
    colours, alpha = _apart(upright)
    rgb = _by_profile(colours, profile)
    if alpha is None:
        return rgb
    rgb.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", rgb.size, "white"), rgb).convert("RGB")


def white_of(picture: Image.Image) -> int | None:
    """The value that is white in a grey picture of more than 8 bits, as it was opened; None for one of 8 bits.

    12 bits in 16 are known where a TIFF's MaxSampleValue says so. An UnknownRangeError for pixels whose range is not known.
    """
    if picture.mode == "F":
        raise UnknownRangeError("its pixels are floating-point numbers of unknown range")
    if not picture.mode.startswith("I"):
        return None
    tags = getattr(picture, "tag_v2", {})  # a TIFF has them
    bits = int(np.max(tags.get(BITS, 16)))
    if not picture.mode.startswith("I;16") and picture.format not in OF_16_BITS:
        raise UnknownRangeError(f"its pixels are {'signed 16' if tags and bits == 16 else '32'}-bit integers of unknown range")
    told = int(np.max(tags.get(LARGEST_VALUE, 0)))
    fits = told in WHITES and int(np.asarray(picture).max(initial=0)) <= told
    return told if fits else min(2**bits - 1, SIXTEEN)


def _of_eight_bits(picture: Image.Image, white: int) -> Image.Image:
    """A grey picture of more bits as L, or as LA where one of its values is transparent."""
    wide = np.asarray(picture)
    grey = Image.fromarray((wide.clip(0, white) * (255 / white)).round().astype(np.uint8))
    clear = picture.info.get("transparency")
    return (
        grey if clear is None else Image.merge("LA", (grey, Image.fromarray(np.where(wide == clear, 0, 255).astype(np.uint8))))
    )


def _apart(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture's colours, as L, RGB, CMYK or LAB, and its transparency, as L, if it has some."""
    if picture.mode in ("La", "RGBa"):  # multiplied by the transparency
        picture = picture.convert(picture.mode.upper())
    alpha = None
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA"):
        whole = picture.convert("RGBA")
        alpha, picture = whole.getchannel("A"), picture if picture.mode in ("1", "L", "LA") else whole
    if picture.mode in ("1", "LA"):
        return picture.convert("L"), alpha
    return picture if picture.mode in SPACES.values() else picture.convert("RGB"), alpha


def _by_profile(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB, CMYK or LAB in sRGB by its own profile; by its plain values where it has none, or one that is of no use."""
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            grey_in_rgb = colours.mode == "L" and SPACES.get(own.profile.xcolor_space) == "RGB"
            return _to_srgb(colours.convert("RGB") if grey_in_rgb else colours, own)
    return _to_srgb(colours, _standard("LAB")) if colours.mode == "LAB" else colours.convert("RGB")


def _to_srgb(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    made: Any = ImageCms.profileToProfile(picture, profile, _standard("sRGB"), outputMode="RGB")
    found: Image.Image = made
    return found


@lru_cache
def _standard(name: Literal["LAB", "sRGB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name))


def squared(picture: Image.Image, side: int, fit: Fit) -> NDArray[np.uint8]:
    """An RGB picture as (3, side, side) uint8, resized with antialiasing: cropped to its centre, or padded with grey."""
    if fit == "crop":
        made = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)
    elif round(min(picture.size) / max(picture.size) * side) == 0:  # nothing is left; Pillow before 12 refuses it
        made = Image.new("RGB", (side, side), (PADDING,) * 3)
    else:
        made = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=(PADDING,) * 3)
    return np.ascontiguousarray(np.asarray(made).transpose(2, 0, 1))
