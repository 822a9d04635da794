"""Modes, bits, colour profiles, limits and formats of picture files: read rightly, or refused in words that say why."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from sslcli.data.folder import catalogue, contents, pictures, walk
from sslcli.data.folder.pictures import (
    LARGEST,
    LARGEST_REDUCED,
    OTHER_KINDS,
    PLUGINS,
    SUFFIXES,
    BrokenPictureError,
    read_rgb,
    size_of,
    squared,
    why_none,
)
from sslcli.data.prepare import UnknownRangeError, rgb_of
from sslcli.data.transform import Transform
from sslcli.errors import UsageError
from tests.conftest import Cli
from tests.data.test_pictures_read import png_that_claims
from tests.data.tiffs import FLOATING, SIGNED, UNSIGNED, packed_12_bits, tiff

RAMP = np.arange(16).reshape(4, 4)


def png(pixels: np.ndarray, *, kind: int, key: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel: (H, W) grey (kind 0), (H, W, C) RGB (2), grey with alpha (4), RGBA (6)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    clear = chunk(b"tRNS", key) if key else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + clear + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def greys(path: Path) -> list[int]:
    return np.asarray(read_rgb(path))[..., 0].ravel().tolist()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "bits", "form", "words"),
    [
        ("i4", 32, SIGNED, "32-bit integers of unknown range"), ("u4", 32, UNSIGNED, "32-bit integers of unknown range"),
        ("i2", 16, SIGNED, "signed 16-bit integers of unknown range"),
        ("f4", 32, FLOATING, "floating-point numbers of unknown range"),
    ],
    ids=["int32", "uint32", "int16", "float32"],
)  # fmt: skip
@pytest.mark.parametrize("most", [9, 255, 2_000_000_000])
def test_a_tiff_whose_range_is_unknown_is_refused_by_name(
    order: str, kind: str, bits: int, form: int, words: str, most: int, tmp_path: Path
) -> None:
    values = (RAMP * (min(most, 2 ** (bits - 1) - 1) / 15)).astype(order + kind)
    (tmp_path / "x.tif").write_bytes(tiff(values.tobytes(), size=(4, 4), bits=bits, form=form, order=order))
    with pytest.raises(BrokenPictureError) as told:
        read_rgb(tmp_path / "x.tif")
    of_pillow = "a TIFF with pixels of a kind that Pillow does not read"  # as of the big-endian uint32
    assert str(told.value) in (f"its pixels are {words}", of_pillow)
    assert str(told.value) != of_pillow or (order, kind) == (">", "u4")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_an_opened_picture_whose_range_is_unknown_is_refused_for_the_encoder_too(mode: str) -> None:
    with pytest.raises(UnknownRangeError, match="unknown range"):
        rgb_of(Image.new(mode, (9, 9)))
    with pytest.raises(UsageError, match=f"mode '{mode}'.*unknown range; accepted are those of 8 and 16 bits"):
        Transform(8, (0.5,) * 3, (0.25,) * 3, 8)(Image.new(mode, (9, 9)))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_every_mode_of_16_bits_is_read_over_its_whole_range(mode: str) -> None:
    values = (RAMP * 4369).astype(">u2" if mode == "I;16B" else "<u2")
    made = Image.frombytes(mode, (4, 4), values.tobytes())
    assert np.asarray(rgb_of(made))[..., 1].ravel().tolist() == [17 * step for step in range(16)]


def test_a_png_of_16_bits_is_read_whichever_mode_pillow_gives_it(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(RAMP * 4369, kind=0))
    assert greys(tmp_path / "x.png") == [17 * step for step in range(16)]
    older = Image.fromarray((RAMP * 4369).astype(np.int32))
    older.format = "PNG"  # as Pillow opened it before version 11
    assert older.mode == "I"
    assert np.asarray(rgb_of(older))[..., 2].ravel().tolist() == [17 * step for step in range(16)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_is_read_in_either_order_of_bytes(order: str, tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(tiff((RAMP * 4369).astype(f"{order}u2").tobytes(), size=(4, 4), bits=16, order=order))
    assert greys(tmp_path / "x.tif") == [17 * step for step in range(16)]


def test_12_bits_are_read_over_their_range_where_the_file_tells_them(tmp_path: Path) -> None:
    values = RAMP * 273  # to 4,095
    (tmp_path / "a.tif").write_bytes(tiff(packed_12_bits(values.ravel().tolist()), size=(4, 4), bits=12))
    (tmp_path / "b.tif").write_bytes(tiff(values.astype("<u2").tobytes(), size=(4, 4), bits=16, largest=4095))
    for name in ("a.tif", "b.tif"):
        assert greys(tmp_path / name) == [17 * step for step in range(16)]
        assert not read_rgb(tmp_path / name).info.get("bits")


@pytest.mark.parametrize(("largest", "most"), [(4095, 65535), (3000, 3000), (65535, 65535), (255, 65535)])
def test_a_largest_value_that_is_no_number_of_bits_or_is_wrong_changes_nothing(largest: int, most: int, tmp_path: Path) -> None:
    values = (RAMP * (most / 15)).astype("<u2")
    (tmp_path / "x.tif").write_bytes(tiff(values.tobytes(), size=(4, 4), bits=16, largest=largest))
    assert greys(tmp_path / "x.tif") == (values / 257).round().astype(int).ravel().tolist()


COLOURS = np.stack([RAMP * 4369, RAMP[::-1] * 4369, RAMP.T * 4369], 2)


@pytest.mark.parametrize(("kind", "channels"), [(2, [0, 1, 2]), (6, [0, 1, 2, 3]), (4, [0, 3])], ids=["RGB", "RGBA", "LA"])
def test_several_channels_of_16_bits_are_read(kind: int, channels: list[int], tmp_path: Path) -> None:
    values = np.dstack([COLOURS, np.full((4, 4), 65535)])[..., channels]
    (tmp_path / "x.png").write_bytes(png(values, kind=kind))
    wanted = COLOURS // 257 if kind != 4 else np.repeat(COLOURS[..., :1], 3, 2) // 257
    assert np.asarray(read_rgb(tmp_path / "x.png")).tolist() == wanted.tolist()
    assert read_rgb(tmp_path / "x.png").info["bits"] == 16


def test_a_value_of_16_bits_that_is_transparent_is_white(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(RAMP * 4369, kind=0, key=struct.pack(">H", 0)))
    assert greys(tmp_path / "x.png") == [255, *(17 * step for step in range(1, 16))]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("bits", "said"), [(10, 12), (12, 12), (14, 14), (16, 0)])
def test_fewer_bits_in_16_are_said_when_the_folder_is_read(
    ssl: Cli, tmp_path: Path, channels: int, bits: int, said: int
) -> None:
    random = np.random.default_rng(bits)
    for number in range(12):
        shape = (40, 40) if channels == 1 else (40, 40, 3)
        values = random.integers(0, 2**bits, shape)
        values.flat[0] = 2**bits - 1
        file = tmp_path / f"photos/{'ab'[number % 2]}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(values, kind=0 if channels == 1 else 2))
    Image.new("RGB", (40, 40)).save(tmp_path / "photos/a/black.png")  # 8 bits: nothing to be said
    for _ in range(2):  # decoded, and found decoded
        told = ssl("data check --dataset folder:photos")
        assert told.code == 0, told.err
        words = f"12 of 12 pictures of 16 bits have no value above {2**said - 1:,}: {said} bits in 16?"
        assert (words in told.err) == bool(said)
        assert ("bits in 16" in told.err) == bool(said)


def swapping() -> bytes:
    """The profile of a display whose red is sRGB's green, and the other way round."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(struct.unpack(">I", made[128:132])[0]):
        at = 132 + 12 * entry
        swapped = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(bytes(made[at : at + 4]))
        made[at : at + 4] = swapped or made[at : at + 4]
    return bytes(made)


def grey_profile(gamma: float) -> bytes:
    """A profile of one grey channel."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, len(curve), b"wtpt", 156 + len(curve), len(white))
    body = tags + curve + white
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + body


ORANGE = (204, 51, 51)
SWAPPED = (51, 204, 51)


def half_clear() -> Image.Image:
    picture = Image.new("RGBA", (40, 40), ORANGE)
    picture.paste((*ORANGE, 0), (20, 0, 40, 40))
    return picture


def keyed() -> Image.Image:
    picture = Image.new("RGB", (40, 40), ORANGE)
    picture.paste((1, 2, 3), (20, 0, 40, 40))
    return picture


def indexed() -> Image.Image:
    picture = Image.new("P", (40, 40))
    picture.putpalette([*ORANGE, 1, 2, 3])
    picture.paste(1, (20, 0, 40, 40))
    return picture


PROFILED: dict[str, tuple[Callable[[], Image.Image], str, dict[str, object], tuple[int, ...] | None]] = {
    "RGB, png": (lambda: Image.new("RGB", (40, 40), ORANGE), "PNG", {}, SWAPPED),
    "RGB, jpeg": (lambda: Image.new("RGB", (40, 40), ORANGE), "JPEG", {"quality": 100}, SWAPPED),
    "RGB, webp": (lambda: Image.new("RGB", (40, 40), ORANGE), "WEBP", {"lossless": True}, SWAPPED),
    "RGB, tiff": (lambda: Image.new("RGB", (40, 40), ORANGE), "TIFF", {}, SWAPPED),
    "RGB with a clear colour": (keyed, "PNG", {"transparency": (1, 2, 3)}, (255, 255, 255)),
    "RGBA, png": (half_clear, "PNG", {}, (255, 255, 255)),
    "RGBA, webp": (half_clear, "WEBP", {"lossless": True}, (255, 255, 255)),
    "RGBA, tiff": (half_clear, "TIFF", {}, (255, 255, 255)),
    "P": (lambda: Image.new("RGB", (40, 40), ORANGE).quantize(4), "PNG", {}, SWAPPED),
    "P with a clear colour": (indexed, "PNG", {"transparency": 1}, (255, 255, 255)),
    "P with an alpha each": (indexed, "PNG", {"transparency": b"\xff\x00"}, (255, 255, 255)),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROFILED)
def test_a_profile_holds_for_every_kind_of_colour_and_transparency_is_white_afterwards(kind: str, tmp_path: Path) -> None:
    make, form, options, right = PROFILED[kind]
    make().save(tmp_path / "x", form, icc_profile=swapping(), **options)
    found = read_rgb(tmp_path / "x")
    assert np.abs(np.array(found.getpixel((5, 5))) - SWAPPED).max() <= 3
    assert np.abs(np.array(found.getpixel((35, 35))) - right).max() <= 3


@pytest.mark.parametrize("mode", ["PA", "RGBX", "RGBa", "HSV", "YCbCr"])
def test_a_profile_holds_for_modes_that_only_an_opened_picture_has(mode: str) -> None:
    base = Image.new("RGBA", (4, 4), ORANGE) if mode == "RGBa" else Image.new("RGB", (4, 4), ORANGE)
    made = base.quantize(4).convert("PA") if mode == "PA" else base.convert(mode)
    made.info["icc_profile"] = swapping()
    assert np.abs(np.array(rgb_of(made).getpixel((1, 1))) - SWAPPED).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "I;16"])
def test_a_grey_profile_holds_for_every_kind_of_grey(mode: str) -> None:
    grey = Image.new("L", (4, 4), 128)
    made = {
        "1": Image.new("1", (4, 4), 1), "L": grey, "LA": Image.merge("LA", (grey, Image.new("L", (4, 4), 255))),
        "La": Image.merge("LA", (grey, Image.new("L", (4, 4), 255))).convert("La"),
        "I;16": Image.fromarray(np.full((4, 4), 128 * 257, np.uint16)),
    }[mode]  # fmt: skip
    assert rgb_of(made).getpixel((1, 1)) == ((255,) * 3 if mode == "1" else (128,) * 3)
    made.info["icc_profile"] = grey_profile(1.0)  # light itself: half of it looks like 188
    found = np.array(rgb_of(made).getpixel((1, 1)))
    assert np.abs(found - (255 if mode == "1" else 188)).max() <= 2


def test_grey_with_a_profile_of_colours_stays_grey() -> None:
    made = Image.new("L", (4, 4), 128)
    made.info["icc_profile"] = swapping()
    assert np.abs(np.array(rgb_of(made).getpixel((1, 1))) - 128).max() <= 1


def test_lab_is_read_by_its_profile_and_without_one_alike(tmp_path: Path) -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    made = ImageCms.profileToProfile(Image.new("RGB", (9, 9), ORANGE), srgb, lab, outputMode="LAB")
    assert made is not None
    made.save(tmp_path / "x.tif")
    made.info.pop("icc_profile", None)
    for found in (read_rgb(tmp_path / "x.tif"), rgb_of(made)):
        assert np.abs(np.array(found.getpixel((4, 4))) - ORANGE).max() <= 2


@pytest.mark.parametrize("profile", [b"nothing", grey_profile(1.0), swapping()[:200]], ids=["none", "of grey", "cut"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA"])
def test_a_profile_of_no_use_leaves_the_plain_values(mode: str, profile: bytes) -> None:
    made = Image.new("RGB", (4, 4), ORANGE).quantize(4) if mode == "P" else Image.new("RGB", (4, 4), ORANGE).convert(mode)
    plain = np.asarray(rgb_of(made))
    made.info["icc_profile"] = profile
    if mode not in ("L", "LA") or profile != grey_profile(1.0):
        assert np.array_equal(rgb_of(made), plain)


def test_reading_an_opened_picture_leaves_it_as_it_is() -> None:
    for made in (half_clear(), indexed(), Image.new("LA", (4, 4)), Image.fromarray((RAMP * 4369).astype(np.uint16))):
        before = (made.mode, made.tobytes(), dict(made.info))
        rgb_of(made)
        assert (made.mode, made.tobytes(), dict(made.info)) == before


def jpeg_that_claims(path: Path, width: int, height: int, **options: object) -> Path:
    """A JPEG of 64x64 pixels whose head says another size: the rest of it is grey."""
    Image.new("L", (64, 64), 90).save(buffer := io.BytesIO(), "JPEG", **options)
    content = bytearray(buffer.getvalue())
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2")) + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("width", "height"), [(12_000, 9_000), (60_000, 2_000)])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_is_held_to_what_is_decoded_of_it(width: int, height: int, progressive: bool, tmp_path: Path) -> None:
    Image.new("L", (width, height), 90).save(tmp_path / "x.jpg", progressive=progressive)
    found = read_rgb(tmp_path / "x.jpg", side=64)
    assert found.getpixel((5, 5)) == (90, 90, 90)
    assert found.width * found.height < LARGEST
    assert size_of(tmp_path / "x.jpg") == height


def test_a_jpeg_that_pillow_takes_for_a_bomb_is_judged_here_and_refused_only_above_its_own_limit(tmp_path: Path) -> None:
    assert size_of(jpeg_that_claims(tmp_path / "x.jpg", 20_000, 15_000)) == 15_000
    assert read_rgb(tmp_path / "x.jpg", side=64).size == (2500, 1875)
    with pytest.raises(BrokenPictureError, match=f"20000 x 15000 pixels, more than {LARGEST:,}"):
        read_rgb(tmp_path / "x.jpg")  # the whole of it was asked for
    for side in (64, None):
        jpeg_that_claims(tmp_path / "bomb.jpg", 65_000, 65_000)
        limit = LARGEST_REDUCED if side else LARGEST
        with pytest.raises(BrokenPictureError, match=f"65000 x 65000 pixels, more than {limit:,}"):
            read_rgb(tmp_path / "bomb.jpg", side=side)


@pytest.mark.parametrize(("width", "height"), [(12_000, 12_000), (60_000, 60_000)])
def test_a_bomb_of_another_format_is_refused_whatever_side_is_wanted(width: int, height: int, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(png_that_claims(width, height))
    with pytest.raises(BrokenPictureError, match=f"more than {LARGEST:,}"):
        read_rgb(tmp_path / "x.jpg", side=32)


def test_a_large_jpeg_is_a_picture_of_the_folder(ssl: Cli, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(9):
        file = tmp_path / f"photos/{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(file)
    Image.new("L", (12_000, 9_000), 90).save(tmp_path / "photos/big.jpg")
    told = ssl("views --dataset folder:photos --n 2")
    assert told.code == 0, told.err
    assert "10 pictures" in told.err
    assert "skipped" not in told.err


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it(tmp_path: Path) -> None:
    assert ".avif" in SUFFIXES
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 20), ORANGE).save(tmp_path / "a/x.AVIF", quality=100)
    assert np.abs(np.array(read_rgb(tmp_path / "a/x.AVIF").getpixel((5, 5))) - ORANGE).max() <= 4
    assert [entry.path for entry in catalogue.list_pictures(tmp_path).entries] == ["a/x.AVIF"]


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Pillow reads none of the formats of PLUGINS."""
    lacking = {suffix: name for name, (_, ends) in PLUGINS.items() for suffix in ends}
    monkeypatch.setattr(pictures, "LACKING", lacking)
    for module in (pictures, walk, contents):
        monkeypatch.setattr(module, "SUFFIXES", pictures.ALWAYS)


ADVICE = {".avif": "pillow-avif-plugin", ".heic": "pillow-heif", ".HEIF": "pillow-heif", ".jxl": "pillow-jxl-plugin"}


@pytest.mark.usefixtures("no_plugins")
def test_a_format_that_needs_a_plugin_is_skipped_with_the_words_that_install_it(ssl: Cli, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"photos/{number}.png")
    for suffix in (*ADVICE, ".svg", ".CR2", ".txt"):
        (tmp_path / f"photos/x{suffix}").write_bytes(b"x")
    told = ssl("views --dataset folder:photos --n 2")
    assert told.code == 0, told.err
    assert "9 pictures" in told.err
    for suffix, package in ADVICE.items():
        assert f"photos: skipped 1 file: {suffix.lower()} needs {package}: pip install {package}" in told.err
    for suffix in (".svg", ".cr2"):
        assert f"photos: skipped 1 file: {suffix} is not read: save the picture as JPEG or PNG" in told.err
    reasons = dict(catalogue.list_pictures(tmp_path / "photos").others)
    assert reasons["x.txt"] == "not a picture by its name"


@pytest.mark.usefixtures("no_plugins")
def test_a_folder_of_such_pictures_alone_and_a_single_one_say_so_too(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / f"photos/{number}.heic").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0")
    told = ssl("pretrain --dataset folder:photos")
    assert told.code == 3
    assert "no picture in this folder" in told.err
    assert "3 files: .heic needs pillow-heif: pip install pillow-heif" in told.err
    with pytest.raises(BrokenPictureError, match="needs pillow-heif: pip install pillow-heif"):
        read_rgb(tmp_path / "photos/0.heic")
    (tmp_path / "photos/0.heic").rename(tmp_path / "named wrongly.jpg")
    with pytest.raises(BrokenPictureError, match="needs pillow-heif"):
        read_rgb(tmp_path / "named wrongly.jpg")
    (tmp_path / "x.svg").write_text("<svg/>")
    with pytest.raises(BrokenPictureError, match=r"\.svg is not read: save the picture as JPEG or PNG"):
        read_rgb(tmp_path / "x.svg")


def test_no_suffix_is_both_read_and_not() -> None:
    assert not set(SUFFIXES) & {*OTHER_KINDS, *pictures.LACKING}
    assert all(why_none(f"x{suffix}") == pictures.NO_PICTURE for suffix in SUFFIXES)


def test_pictures_thinner_than_a_pixel_become_squares() -> None:
    for size in ((1, 500), (500, 1), (3, 7)):
        for fit in ("crop", "pad"):
            assert squared(Image.new("RGB", size), 16, fit).shape == (3, 16, 16)  # type: ignore[arg-type]
