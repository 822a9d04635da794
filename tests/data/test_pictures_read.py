"""Picture files of every kind become what the eye sees, or a message."""

import io
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from sslcli.data.folder.pictures import LARGEST, BrokenPictureError, read_rgb, size_of, squared

RED, BLUE, WHITE = (200, 40, 30), (30, 60, 210), (255, 255, 255)


def halves(mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    return picture.convert(mode)


def colours(picture: Image.Image) -> list[list[int]]:
    """The mean colours of the left and the right half."""
    assert picture.mode == "RGB"
    pixels = np.asarray(picture).astype(float)
    middle = pixels.shape[1] // 2
    return [
        pixels[2:-2, 2 : middle - 2].mean((0, 1)).round().tolist(),
        pixels[2:-2, middle + 2 : -2].mean((0, 1)).round().tolist(),
    ]


def transparent() -> Image.Image:
    picture = halves("RGBA")
    picture.putalpha(Image.fromarray(np.repeat([[255] * 20 + [0] * 20], 20, 0).astype(np.uint8)))
    return picture


def palette() -> Image.Image:
    picture = Image.new("P", (40, 20), 0)
    picture.putpalette([*RED, *BLUE])
    picture.paste(1, (20, 0, 40, 20))
    return picture


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.repeat([[51 * 257] * 20 + [204 * 257] * 20], 20, 0).astype(np.uint16))


GREYS = [[51] * 3, [204] * 3]
KINDS: dict[str, tuple[Callable[[], Image.Image], str, dict[str, object], list[list[int]] | list[tuple[int, ...]], int]] = {
    "jpeg": (halves, "JPEG", {"quality": 95}, [RED, BLUE], 4),
    "png": (halves, "PNG", {}, [RED, BLUE], 0),
    "webp": (halves, "WEBP", {"lossless": True}, [RED, BLUE], 0),
    "bmp": (halves, "BMP", {}, [RED, BLUE], 0),
    "tiff": (halves, "TIFF", {}, [RED, BLUE], 0),
    "gif": (halves, "GIF", {}, [RED, BLUE], 3),
    "first of frames": (halves, "GIF", {"save_all": True, "append_images": [Image.new("RGB", (40, 20))]}, [RED, BLUE], 3),
    "palette": (palette, "PNG", {}, [RED, BLUE], 0),
    "palette with a transparent colour": (palette, "PNG", {"transparency": 1}, [RED, WHITE], 0),
    "alpha": (transparent, "PNG", {}, [RED, WHITE], 0),
    "grey with alpha": (lambda: transparent().convert("LA"), "PNG", {}, [[86] * 3, WHITE], 2),
    "grey": (lambda: Image.fromarray((np.asarray(sixteen_bits()) // 257).astype(np.uint8)), "JPEG", {}, GREYS, 2),
    "16 bit grey, png": (sixteen_bits, "PNG", {}, GREYS, 0),
    "16 bit grey, tiff": (sixteen_bits, "TIFF", {}, GREYS, 0),
    "one bit": (lambda: Image.fromarray(np.repeat([[0] * 20 + [255] * 20], 20, 0).astype(np.uint8)).convert("1"), "PNG", {},
                [(0, 0, 0), WHITE], 0),
    "cmyk": (lambda: halves("CMYK"), "JPEG", {"quality": 95}, [RED, BLUE], 5),
    "srgb profile": (halves, "PNG", {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()},
                     [RED, BLUE], 2),
    "a profile that is none": (halves, "PNG", {"icc_profile": b"nothing"}, [RED, BLUE], 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_picture_becomes_what_the_eye_sees(kind: str, tmp_path: Path) -> None:
    make, form, options, wanted, tolerance = KINDS[kind]
    make().save(tmp_path / "picture", form, **options)
    found = colours(read_rgb(tmp_path / "picture"))
    assert np.abs(np.array(found) - np.array(wanted)).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(orientation: int, tmp_path: Path) -> None:
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # the transposition that undoes it, of Pillow's
    stored = halves() if turned is None else halves().transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "picture.jpg", quality=95, exif=exif)
    picture = read_rgb(tmp_path / "picture.jpg")
    assert picture.size == (40, 20)
    assert np.abs(np.array(colours(picture)) - np.array([RED, BLUE])).max() <= 4


def png_that_claims(width: int, height: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def encoded(form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(file := io.BytesIO(), form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"), (b"not a picture at all", "no picture of a known format"),
        (encoded("JPEG")[:900], "truncated"), (encoded("PNG")[:5000], "truncated"),
        (png_that_claims(60_000, 60_000), "pixels"), (png_that_claims(12_000, 12_000), f"more than {LARGEST:,}"),
    ],
    ids=["empty", "text", "cut jpeg", "cut png", "bomb", "large"],
)  # fmt: skip
def test_what_is_no_whole_picture_says_why(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BrokenPictureError, match=reason):
        read_rgb(tmp_path / "x.png")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_damaged_file_is_a_picture_or_a_message_and_nothing_else(form: str, tmp_path: Path) -> None:
    whole, chance = encoded(form), random.Random(0)
    for _ in range(60):
        spoilt = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        (tmp_path / "x").write_bytes(spoilt[: chance.randint(1, len(spoilt))])
        made = None
        with suppress(BrokenPictureError):
            made = read_rgb(tmp_path / "x", side=16)
        assert made is None or (made.mode == "RGB" and size_of(tmp_path / "x"))


def test_a_large_jpeg_is_decoded_smaller_but_not_too_small(tmp_path: Path) -> None:
    halves(size=(2000, 1000)).save(tmp_path / "x.jpg", quality=95)
    picture = read_rgb(tmp_path / "x.jpg", side=64)
    assert 128 <= min(picture.size) < 1000
    assert np.abs(np.array(colours(picture)) - np.array([RED, BLUE])).max() <= 4
    assert size_of(tmp_path / "x.jpg") == 1000


def test_a_square_is_the_centre_or_the_whole_beside_grey() -> None:
    cropped, padded = (squared(halves(), 16, fit) for fit in ("crop", "pad"))
    assert cropped.shape == padded.shape == (3, 16, 16)
    assert cropped[:, 8, 2].tolist() == list(RED)
    assert padded[:, 8, 2].tolist() == list(RED)
    assert padded[:, 1, 8].tolist() == [128] * 3
    assert cropped[:, 1, 2].tolist() == list(RED)
