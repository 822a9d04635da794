"""A folder of pictures as people have them: `python -m tests.benchmarks.realistic FOLDER` writes it, and FOLDER-few.csv.

The pictures are those of `shapes`, enlarged and taken by two made cameras. The folder has what real ones have: several sizes,
pictures turned by EXIF alone, copies, near copies, broken files, other files, spaces and accents in names, and 20 times as
many pictures of one class as of another. The CSV file names the classes of few of them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from sslcli.data.sets.shapes import OUTLINES, make_shapes

CLASSES = ("disc", "ring", "star", "cross", "triangle", "crescent")
IMBALANCE = 20
NEAR, EXACT, BROKEN = 0.05, 0.02, 0.01  # shares of all pictures
LABELLED = 200
ORIENTATION, MAKE, MODEL = 0x0112, 0x010F, 0x0110  # tags of EXIF
TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""Each value of the tag to how the camera stored the upright picture."""
OTHER_FILES = ("DCIM/Thumbs.db", "DCIM/.DS_Store", "DCIM/100 CAMÉRA A/film.mp4", "notes.txt")
BREAKS = ("cut off", "empty", "text")


@dataclass(frozen=True)
class Camera:
    """Where a camera's pictures lie, and how they look: sides in pixels, gain of each channel, blur, noise, JPEG quality."""

    folder: str
    model: str
    short: int
    long: int
    gains: tuple[float, float, float]
    blur: float
    noise: float
    quality: int


CAMERAS = (
    Camera("DCIM/100 CAMÉRA A", "Sharp 1", 192, 256, (1.06, 1.0, 0.92), 0.6, 3, 92),
    Camera("DCIM/101CAM_B", "Cheap 2", 144, 192, (0.9, 0.98, 1.08), 1.6, 9, 60),
)


@dataclass(frozen=True)
class Built:
    """The numbers of what was written, and for each picture that is whole its path below the folder and its class."""

    pictures: int
    turned: int
    exact: int
    near: int
    broken: dict[str, str]
    classes: dict[str, str]


def counts_of(total: int) -> list[int]:
    """How many pictures each class has: from class to class fewer by the same factor, IMBALANCE in all."""
    shares = IMBALANCE ** -np.linspace(0, 1, len(CLASSES))
    return [max(4, int(count)) for count in total * shares / shares.sum()]


def build(root: Path, total: int = 2000) -> Built:
    """Write the folder and the CSV file beside it, the same every time."""
    random = np.random.default_rng(0)
    kinds = [kind for kind, count in enumerate(counts_of(total)) for _ in range(count)]
    pixels = _pixels(kinds)
    order = random.permutation(len(kinds))
    classes: dict[str, str] = {}
    turned = 0
    for number, place in enumerate(order.tolist()):
        camera = CAMERAS[int(random.random() < 0.35)]
        picture = taken(pixels[place], camera, random)
        path = f"{camera.folder}/IMG_{number:04}.{('JPG', 'jpg')[number % 2]}"
        turn = int(random.choice([0, 0, 0, *TURNED])) if camera is CAMERAS[0] else 0
        turned += bool(turn)
        _save(picture, root / path, camera, turn)
        classes[path] = CLASSES[kinds[place]]
    exact, near = _copies(root, classes, random, exact=round(EXACT * total), near=round(NEAR * total))
    broken = _break(root, classes, random, max(len(BREAKS), round(BROKEN * total)))
    for name in OTHER_FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not a picture")
    built = Built(len(kinds) + exact + near, turned, exact, near, broken, classes)
    _write_few(root, built, random, min(LABELLED, total // 4))
    return built


def _pixels(kinds: Sequence[int]) -> list[np.ndarray]:  # type: ignore[type-arg]
    """A picture of 32 pixels for each class, as (32, 32, 3)."""
    most = max(kinds.count(kind) for kind in set(kinds))
    images, labels = make_shapes(len(OUTLINES) * most, seed=3)
    names = list(OUTLINES)
    places = {kind: (labels == names.index(CLASSES[kind])).nonzero().flatten().tolist() for kind in set(kinds)}
    rows = [places[kind].pop() for kind in kinds]
    return list(images[torch.tensor(rows)].permute(0, 2, 3, 1).numpy())


def taken(pixels: np.ndarray, camera: Camera, random: np.random.Generator) -> Image.Image:  # type: ignore[type-arg]
    """A square as a camera would take it: enlarged, with more of the scene at two sides, its colours, blur, light and noise."""
    scale = random.choice([0.75, 1.0, 1.0, 1.25])
    short, long = round(camera.short * scale), round(camera.long * scale)
    wide = np.pad(pixels, [(0, 0), (6, 6), (0, 0)], mode="reflect")
    portrait = random.random() < 0.3
    scene = Image.fromarray(wide.transpose(1, 0, 2) if portrait else wide)
    scene = scene.resize((short, long) if portrait else (long, short), Image.Resampling.BICUBIC)
    light = np.asarray(scene.filter(ImageFilter.GaussianBlur(camera.blur)), np.float32)
    y, x = (np.linspace(-1, 1, length) for length in light.shape[:2])
    vignette = 1 - 0.15 * (y[:, None] ** 2 + x[None] ** 2)
    light = light * np.array(camera.gains) * vignette[..., None] * random.uniform(0.8, 1.15)
    return Image.fromarray((light + random.normal(0, camera.noise, light.shape)).clip(0, 255).astype(np.uint8))


def _save(picture: Image.Image, path: Path, camera: Camera, turn: int) -> None:
    """Write a JPEG with the camera's EXIF; a turned camera stores the picture turned, and says so in its EXIF alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Made", camera.model
    if turn:
        exif[ORIENTATION] = turn
        picture = picture.transpose(TURNED[turn])
    picture.save(path, "JPEG", quality=camera.quality, exif=exif)


def _copies(
    root: Path, classes: dict[str, str], random: np.random.Generator, *, exact: int, near: int
) -> tuple[int, int]:  # fmt: skip
    """Add copies of pictures under other names, and near copies: a little smaller, saved again, one of two without EXIF."""
    drawn = random.choice(sorted(classes), exact + near, replace=False).tolist()
    for number, path in enumerate(drawn):
        stem, _, ending = path.rpartition(".")
        if number < exact:
            name = f"{stem} (1).{ending}"
            (root / name).write_bytes((root / path).read_bytes())
        else:
            name = f"exports/{number:03} edited.jpg"
            (root / name).parent.mkdir(exist_ok=True)
            with Image.open(root / path) as picture:
                smaller = picture.resize([round(0.9 * side) for side in picture.size], Image.Resampling.LANCZOS)  # type: ignore[arg-type]
                smaller.save(root / name, "JPEG", quality=80, exif=picture.getexif())
        classes[name] = classes[path]
    return exact, near


def _break(root: Path, classes: dict[str, str], random: np.random.Generator, count: int) -> dict[str, str]:
    """Damage some pictures; returns how, by path, and takes them out of `classes`."""
    drawn = random.choice(sorted(path for path in classes if "IMG" in path), count, replace=False).tolist()
    found = {path: BREAKS[number % len(BREAKS)] for number, path in enumerate(drawn)}
    for path, how in found.items():
        whole = (root / path).read_bytes()
        (root / path).write_bytes({"cut off": whole[: len(whole) // 3], "empty": b"", "text": b"<html>404</html>"}[how])
        del classes[path]
    return found


def _write_few(root: Path, built: Built, random: np.random.Generator, count: int) -> None:
    """The CSV file: some pictures drawn at random, at least five of each class, and one path with backslashes."""
    paths = sorted(built.classes)
    drawn = dict.fromkeys(random.choice(paths, count, replace=False).tolist())
    for kind in CLASSES:
        own = [path for path in paths if built.classes[path] == kind]
        drawn |= dict.fromkeys(own[: max(0, 5 - sum(built.classes[path] == kind for path in drawn))])
    rows = [(path, built.classes[path]) for path in drawn]
    rows[0] = (rows[0][0].replace("/", "\\"), rows[0][1])
    with few_of(root).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])


def few_of(root: Path) -> Path:
    """The CSV file beside a folder."""
    return root.with_name(f"{root.name}-few.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parsed = parser.parse_args(arguments)
    built = build(parsed.folder, parsed.count)
    print(replace(built, classes={kind: str(list(built.classes.values()).count(kind)) for kind in CLASSES}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
