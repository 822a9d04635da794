"""Picture files of many kinds to upright sRGB pixels as the eye would see them. Imports no torch: it runs in many processes."""

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
from sslcli.data.prepare import Fit as Fit  # whoever reads files needs these, too
from sslcli.data.prepare import squared as squared

ALWAYS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
PLUGINS = {
    "pillow-avif-plugin": ("pillow_avif", (".avif",)),
    "pillow-heif": ("pillow_heif", (".heic", ".heif", ".hif")),
    "pillow-jxl-plugin": ("pillow_jxl", (".jxl",)),
}
"""Package to the module that teaches Pillow a format, and the names that its files end with."""
OTHER_KINDS = (
    ".svg", ".svgz", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".psd", ".xcf",
    ".eps", ".jp2", ".j2k", ".jxr", ".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".exr", ".hdr", ".dcm",
)  # fmt: skip
"""What pictures' names end with whose kind is not read."""
NO_PICTURE = "not a picture by its name"
CONTENT = {
    b"ftypavif": ".avif", b"ftypavis": ".avif", b"JXL \r\n\x87\n": ".jxl",
    b"ftypheic": ".heic", b"ftypheix": ".heic", b"ftyphevc": ".heic", b"ftypmif1": ".heif",
}  # fmt: skip
"""Bytes 4 to 12 of a file to the suffix that says the same."""

LARGEST = 100_000_000  # pixels that are decoded; what claims more may be a bomb
LARGEST_REDUCED = 4 * LARGEST  # pixels of a JPEG that is decoded to fewer: all of its file is read all the same
SHARPER = 2  # a JPEG is decoded to at least so many times the side that is wanted, which saves most of its work
PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
"""What goes wrong with a machine, not with a file: not to be remembered of it."""


def _taught(module: str) -> bool:
    """Whether Pillow reads the format of a plugin: by itself, or as the plugin, if it is installed, teaches it now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a Pillow that has never heard of AVIF warns
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
"""Suffix to the package without which its files cannot be read here."""
SUFFIXES = (*ALWAYS, *(suffix for _, ends in PLUGINS.values() for suffix in ends if suffix not in LACKING))
"""What the names of pictures that can be read here end with."""


class BrokenPictureError(ValueError):
    """A file that is no picture that can be read; says why."""


def read_rgb(path: Path, *, side: int | None = None) -> Image.Image:
    """The first frame of a picture as upright RGB; of a JPEG perhaps smaller, but with at least `side` pixels a side.

    Turned as its EXIF says; brought to sRGB where it names its colours' profile; laid on white where it is transparent;
    16 bits brought to 8: then `info["bits"]` is how many of the 16 its largest value takes. A BrokenPictureError for all that
    is no whole picture; an OSError in PASSING, and a MemoryError, stay.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit of pixels, and odd metadata that do no harm
            with _opened(path) as picture:
                _reduce(picture, side)
                sixteen = ";16" in str([tile[3] for tile in picture.tile])  # known until it is decoded
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
    """A file, opened; of a JPEG the limit is held to what will be decoded, so that Pillow's own must not stop it here."""
    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        try:
            return JpegImagePlugin.JpegImageFile(path)
        except SyntaxError:
            raise BrokenPictureError(f"more than {LARGEST:,} pixels") from None


def _reduce(picture: Image.Image, side: int | None) -> None:
    """Have a JPEG decoded to fewer pixels, if fewer will do; a BrokenPictureError for more than may be decoded.

    Other formats know no smaller decoding.
    """
    width, height = picture.size
    if side:
        picture.draft(None, (SHARPER * side, SHARPER * side))
    limit = LARGEST if picture.size == (width, height) else LARGEST_REDUCED
    if width * height > limit:
        raise BrokenPictureError(f"{width} x {height} pixels, more than {limit:,}")


def _bits_used(picture: Image.Image) -> int:
    """How many bits the largest value of a picture of 16 bits takes; 0 where its file says that it has fewer."""
    if white_of(picture) not in (None, SIXTEEN):
        return 0
    if picture.mode.startswith("I"):
        return int(np.asarray(picture).max()).bit_length()
    colours = picture.convert("RGB").getextrema()  # of which Pillow has kept the upper eight bits
    return 8 + int(np.max(colours)).bit_length()


def _why_unidentified(path: Path) -> str:
    """Why Pillow did not know a file, by its first bytes or its name."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "an empty file"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF with pixels of a kind that Pillow does not read"
    why = why_none(CONTENT.get(head[4:], path.name))
    return why if why != NO_PICTURE else "no picture of a known format"


def why_none(name: str) -> str:
    """Why a file is no picture that can be read here, by its name."""
    suffix = next((end for end in (*LACKING, *OTHER_KINDS) if name.lower().endswith(end)), "")
    if suffix in LACKING:
        return f"{suffix} needs {LACKING[suffix]}: pip install {LACKING[suffix]}"
    return f"{suffix} is not read: save the picture as JPEG or PNG" if suffix else NO_PICTURE


def counted(reasons: Iterable[str]) -> list[str]:
    """Reasons of `why_none` that tell what can be done, each with the number of files: "3 files: .heic needs ..."."""
    told = Counter(reason for reason in reasons if reason.startswith("."))
    return [f"{count:,} file{'s' * (count > 1)}: {reason}" for reason, count in told.items()]


def size_of(path: Path) -> int | None:
    """The shorter side of a picture by its header; None if it cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(path) as picture:
                return min(picture.size)
    except Exception:  # as in read; decoding it will say why
        return None
