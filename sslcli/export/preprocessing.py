"""Prepare pictures for an exported encoder: a copy of this program's file beside the weights, and the lines that call it.

`odd_pictures` are unusual pictures that an export is tested on, beside those of the data set.
"""

from __future__ import annotations

import inspect
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from sslcli.data import prepare
from sslcli.data.prepare import PADDING
from sslcli.data.transform import Transform

PREPARE = 'prepare = runpy.run_path(str(folder / "prepare.py"))["prepare"]'
"""The line that imports the function that makes any picture square; its file is part of every export."""


def sides_of(transform: Transform) -> dict[str, Any]:
    """How a picture becomes square, as plain data with sides in pixels: for encoder.json and the metadata of ONNX."""
    return {"image_size": transform.size, "kept_size": transform.kept, "fit": transform.fit}


def steps_of(transform: Transform) -> list[str]:
    """What prepare.py does, in words, for people who implement it again."""
    size, kept = transform.size, transform.kept
    square = "the central square" if transform.fit == "crop" else f"the whole picture in the middle of grey ({PADDING})"
    return [
        "turned as its EXIF says",
        "16 bits brought to 8",
        "brought to sRGB by its colour profile",
        "laid on white where it is transparent",
        f"{square}, resized to {kept} x {kept} pixels with antialiasing (bicubic)",
        *([f"of that the central {size} x {size} pixels"] if kept != size else []),
    ]


def write_prepare(folder: Path) -> None:
    """Copy the file whose function prepares pictures, from the source of this program, into an export."""
    (folder / "prepare.py").write_text(inspect.getsource(prepare), encoding="utf-8")


def call_lines(transform: Transform) -> str:
    """The call of that function, which gives uint8 (3, size, size)."""
    return f'prepare(picture, {transform.size}, kept={transform.kept}, fit="{transform.fit}")'


def preprocess_lines(transform: Transform) -> str:
    """The lines that define `preprocess` with torch; equal to `load_encoder`'s transform to the bit."""
    known = f"{list(transform.mean)}, {list(transform.std)}"
    return f"""\
{PREPARE}
mean, std = (torch.tensor(known).view(3, 1, 1) for known in ({known}))


def preprocess(picture):  # as Image.open gives it: no convert("RGB") before
    return (torch.from_numpy({call_lines(transform)}).float() / 255 - mean) / std
"""


def odd_pictures(side: int) -> dict[str, Image.Image]:
    """One picture of each kind that needs its own preparation, by name, as Image.open gives them; `side` is the side in pixels
    of the square that they become.
    """
    wide, tall = (2 * side + 1, side + 2), (side + 1, 3 * side)
    colours, turned, clear = _noise(wide), Image.Exif(), _noise(wide).quantize(16)
    turned[0x0112] = 6  # a quarter turn
    wider = np.asarray(_noise(tall).convert("L")).astype(np.uint16)
    return {
        "wide": colours,
        "tall": _noise(tall),
        "odd": _noise((side + 3, side + 4)),
        "smaller": _noise((side // 2 + 1, side // 3 + 1)),
        "turned by EXIF": _saved(colours, "PNG", exif=turned),
        "RGBA": _saved(Image.merge("RGBA", (*colours.split(), colours.getchannel("R"))), "PNG"),
        "grey with alpha": _saved(Image.merge("LA", colours.split()[:2]), "PNG"),
        "palette with a transparent colour": _saved(clear, "PNG", transparency=3),
        "16-bit grey": _saved(Image.fromarray(wider * 200 + 1000), "PNG"),
        "CMYK": _saved(colours.convert("CMYK"), "JPEG"),
        "with a colour profile": _saved(colours, "PNG", icc_profile=swapped_profile()),
    }


def _noise(size: tuple[int, int]) -> Image.Image:
    """An RGB picture of coarse stains, the same every time: edges and resizing show, and survive JPEG."""
    coarse = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def _saved(picture: Image.Image, form: str, **options: Any) -> Image.Image:
    """The picture after saving and opening, with the metadata of its file."""
    picture.save(file := io.BytesIO(), form, **options)
    return Image.open(file)


def swapped_profile() -> bytes:
    """A colour profile that swaps sRGB's red and green, so that it is obvious whether it was applied."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(struct.unpack(">I", made[128:132])[0]):
        at = 132 + 12 * entry
        name = bytes(made[at : at + 4])
        made[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(name, name)
    return bytes(made)
