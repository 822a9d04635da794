"""A folder of own pictures with a few labels, and runs on it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sslcli.files import write_text
from sslcli.runs.run import Run
from tests.conftest import Once

Done = Callable[[str], Run]
COLOURS = {"red": (200, 60, 50), "blue": (50, 80, 200)}


def picture(path: Path, colour: tuple[int, int, int], number: int) -> None:
    """A noisy picture of a colour, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(-40, 40, (36, 40, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Red and blue pictures in sub-folders, of which a file labels every third; a broken one; a name that is not UTF-8."""
    root, lines = tmp_path / "photos", ["path,label"]
    for number in range(60):
        name = list(COLOURS)[number % 2]
        picture(root / f"day{number % 5}" / f"{number}.png", COLOURS[name], number)
        lines += [f"day{number % 5}/{number}.png,{name}"] * (number % 3 == 0)
    picture(root / os.fsdecode(b"caf\xe9, 1.png"), COLOURS["red"], 99)
    (root / "day0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_text(tmp_path / "few.csv", "\n".join(lines))
    return root


@pytest.fixture
def probed(done: Done, once: Once[Run], photos: Path) -> Run:
    """A probe of an encoder that was pretrained on the pictures, with the few labels."""
    assert photos.exists()

    def make_probe() -> Run:
        done("pretrain --dataset folder:photos --labels few.csv --backbone resnet9-small --batch-size 16 --epochs 1")
        return done("probe --epochs 20 --batch-size 8")

    return once(make_probe)


@pytest.fixture
def unlabelled(done: Done, once: Once[Run], photos: Path) -> Run:
    """A pretrain run on pictures of which none has a label: all are in one folder."""
    (photos.parent / "few.csv").unlink()
    for path in list(photos.glob("*/*.png")):
        path.rename(photos / path.name)
    for folder in photos.glob("day*"):
        folder.rmdir()

    def make_unlabelled() -> Run:
        return done("pretrain --dataset folder:photos --backbone resnet9-small --batch-size 16 --epochs 1 --max-steps 2")

    return once(make_unlabelled)
