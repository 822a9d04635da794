"""Read picture files of many kinds as upright sRGB pixels. Imports no torch, because it runs in many processes."""

from __future__ import annotations

import errno
import importlib
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError, features

from sslcli.data.prepare import SIXTEEN, UnknownRangeError, rgb_of, white_of
from sslcli.data.prepare import Fit as Fit  # modules that read files need these, too
from sslcli.data.prepare import squared as squared

ALWAYS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
PLUGINS = {
    "pillow-avif-plugin": ("pillow_avif", (".avif",)),
    "pillow-heif": ("pillow_heif", (".heic", ".heif", ".hif")),
    "pillow-jxl-plugin": ("pillow_jxl", (".jxl",)),
}
"""Each package to the module that adds a format to Pillow, and the suffixes of its files."""
OTHER_KINDS = (
    ".svg", ".svgz", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".psd", ".xcf",
    ".eps", ".jp2", ".j2k", ".jxr", ".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".exr", ".hdr", ".dcm",
)  # fmt: skip
"""Suffixes of pictures in formats that are not read."""
NO_PICTURE = "not a picture by its name"
CONTENT = {
    b"ftypavif": ".avif", b"ftypavis": ".avif", b"JXL \r\n\x87\n": ".jxl",
    b"ftypheic": ".heic", b"ftypheix": ".heic", b"ftyphevc": ".heic", b"ftypmif1": ".heif",
}  # fmt: skip
"""Bytes 4 to 12 of a file to the suffix of its format."""

LARGEST = 100_000_000  # pixels to decode at most; a file that claims more may be a decompression bomb
LARGEST_REDUCED = 4 * LARGEST  # pixels of a JPEG that is decoded smaller: its whole file is still read
SHARPER = 2  # a JPEG is decoded to at least this many times the wanted side, which saves most of the work
PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
"""Errors of the machine, not of the file: they are not remembered for the file."""


def _taught(module: str) -> bool:
    """Whether Pillow reads the format of a plugin: by itself, or with the plugin, which is loaded now if installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a Pillow without AVIF warns
        if module == "pillow_avif" and features.check("avif"):
            return True
    try:
        plugin = importlib.import_module(module)
    except ImportError:
        return False
    if module == "pillow_heif":
        plugin.register_heif_opener()
    return True


LACKING = {suffix: name for name, (module, ends) in PLUGINS.items() if not _taught(module) for suffix in ends}
"""Each unreadable suffix to the missing package that reads it."""
SUFFIXES = (*ALWAYS, *(suffix for _, ends in PLUGINS.values() for suffix in ends if suffix not in LACKING))
"""Suffixes of pictures that can be read here."""


class BrokenPictureError(ValueError):
    """A file that cannot be read as a picture. The message says why."""


def read_rgb(path: Path, *, side: int | None = None) -> Image.Image:
    """The first frame of a picture as upright RGB. A JPEG may be decoded smaller, but with at least `side` pixels per side.

    Turned as its EXIF says, converted to sRGB by its colour profile, on white where it is transparent, and 16 bits reduced
    to 8; then `info["bits"]` is the number of bits that its largest value uses. A BrokenPictureError for anything but a
    whole picture; an OSError in PASSING and a MemoryError are passed on.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit of pixels, and harmless odd metadata
            with _opened(path) as picture:
                _reduce(picture, side)
                sixteen = ";16" in str([tile[3] for tile in picture.tile])  # known only before decoding
                rgb = rgb_of(picture)
                rgb.info = {"bits": _bits_used(picture)} if sixteen else {}
                return rgb
    except (BrokenPictureError, MemoryError):
        raise
    except UnknownRangeError as error:
        raise BrokenPictureError(str(error)) from None
    except UnidentifiedImageError:
        raise BrokenPictureError(_why_unidentified(path)) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno in PASSING:
            raise
        raise BrokenPictureError(f"{type(error).__name__}: {error}".split("\n")[0][:200]) from error


def _opened(path: Path) -> ImageFile.ImageFile:
    """Open a file. For a JPEG the limit applies to the decoded size, so Pillow's own limit must not stop it here."""
    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        try:
            return JpegImagePlugin.JpegImageFile(path)
        except SyntaxError:
            raise BrokenPictureError(f"more than {LARGEST:,} pixels") from None


def _reduce(picture: Image.Image, side: int | None) -> None:
    """Decode a JPEG smaller, if that is enough; a BrokenPictureError if it has too many pixels.

    Other formats cannot be decoded smaller.
    """
    width, height = picture.size
    if side:
        picture.draft(None, (SHARPER * side, SHARPER * side))
    limit = LARGEST if picture.size == (width, height) else LARGEST_REDUCED
    if width * height > limit:
        raise BrokenPictureError(f"{width} x {height} pixels, more than {limit:,}")


def _bits_used(picture: Image.Image) -> int:
    """The number of bits that the largest value of a 16-bit picture uses; 0 if the file says that it has fewer bits."""
    if white_of(picture) not in (None, SIXTEEN):
        return 0
    if picture.mode.startswith("I"):
        return int(np.asarray(picture).max()).bit_length()
    colours = picture.convert("RGB").getextrema()  # Pillow keeps the upper eight bits
    return 8 + int(np.max(colours)).bit_length()


def _why_unidentified(path: Path) -> str:
    """Why Pillow did not recognise a file, by its first bytes or its name."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "an empty file"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF with pixels of a kind that Pillow does not read"
    why = why_none(CONTENT.get(head[4:], path.name))
    return why if why != NO_PICTURE else "no picture of a known format"


def why_none(name: str) -> str:
    """Why a file cannot be read as a picture here, by its name."""
    suffix = next((end for end in (*LACKING, *OTHER_KINDS) if name.lower().endswith(end)), "")
    if suffix in LACKING:
        return f"{suffix} needs {LACKING[suffix]}: pip install {LACKING[suffix]}"
    return f"{suffix} is not read: save the picture as JPEG or PNG" if suffix else NO_PICTURE


def counted(reasons: Iterable[str]) -> list[str]:
    """The reasons of `why_none` that have a remedy, each with the number of files: "3 files: .heic needs ..."."""
    told = Counter(reason for reason in reasons if reason.startswith("."))
    return [f"{count:,} file{'s' * (count > 1)}: {reason}" for reason, count in told.items()]


def size_of(path: Path) -> int | None:
    """The shorter side of a picture from its header; None if it cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(path) as picture:
                return min(picture.size)
    except Exception:  # as in read_rgb; decoding gives the reason
        return None
