"""Turn a picture of any kind, as Pillow opens it, into the upright RGB square that an encoder sees.

Needs only Pillow and numpy, and imports nothing of this program: `ssl export` copies this file beside the weights.
"""

from __future__ import annotations

import io
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

PADDING = 128  # the grey around a padded picture
SIXTEEN = 2**16 - 1  # white in 16 bits
WHITES = tuple(2**bits - 1 for bits in range(9, 16))  # of 9 to 15 bits
BITS, LARGEST_VALUE = 258, 281  # TIFF's tags BitsPerSample and MaxSampleValue
OF_16_BITS = ("PNG", "PPM")  # formats that Pillow also opens in mode "I", with values up to 65,535
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""The colour space of a profile to the picture mode that it applies to."""

Fit = Literal["crop", "pad"]
"""How a picture becomes square: crop to the central square, or pad the whole picture with grey."""


class UnknownRangeError(ValueError):
    """It is not known which value of the picture is white. The message says why."""


def prepare(picture: Image.Image, size: int, *, kept: int | None = None, fit: Fit = "crop") -> NDArray[np.uint8]:
    """A picture as uint8 (3, size, size): the centre of a square with a side of `kept` pixels (default: size).

    An UnknownRangeError for pixels whose range is unknown.
    """
    square = squared(rgb_of(picture), kept or size, fit)
    begin = (square.shape[1] - size) // 2
    return np.ascontiguousarray(square[:, begin : begin + size, begin : begin + size])


def rgb_of(picture: Image.Image) -> Image.Image:
    """A picture of any mode as upright RGB: turned as its EXIF says, in sRGB, on white where it is transparent.

    More than 8 bits are reduced to 8. An UnknownRangeError for pixels whose range is unknown.
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
    """The white value of a grey picture with more than 8 bits, as it was opened; None for 8 bits.

    12 bits in 16 are recognised by a TIFF's MaxSampleValue. An UnknownRangeError for pixels whose range is unknown.
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
    """A grey picture with more than 8 bits as L, or as LA if one of its values is transparent."""
    wide = np.asarray(picture)
    grey = Image.fromarray((wide.clip(0, white) * (255 / white)).round().astype(np.uint8))
    clear = picture.info.get("transparency")
    return (
        grey if clear is None else Image.merge("LA", (grey, Image.fromarray(np.where(wide == clear, 0, 255).astype(np.uint8))))
    )


def _apart(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a picture as L, RGB, CMYK or LAB, and its transparency, if any, as L."""
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
    """L, RGB, CMYK or LAB converted to sRGB by its profile; by plain values if the profile is missing or unusable."""
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
    """An RGB picture as uint8 (3, side, side), resized with antialiasing: cropped to its centre, or padded with grey."""
    if fit == "crop":
        made = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)
    elif round(min(picture.size) / max(picture.size) * side) == 0:  # no pixel is left, which Pillow before 12 refuses
        made = Image.new("RGB", (side, side), (PADDING,) * 3)
    else:
        made = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=(PADDING,) * 3)
    return np.ascontiguousarray(np.asarray(made).transpose(2, 0, 1))
