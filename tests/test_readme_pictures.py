"""The README's way from a folder of pictures to an answer, typed as it stands."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import NEEDS_ONNX, Cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@NEEDS_ONNX
@pytest.mark.usefixtures("rough_pictures")
def test_the_walk_through_on_own_pictures_can_be_typed(ssl: Cli, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, colour in {"cats": (190, 120, 60), "dogs": (70, 110, 170)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(45):
            pixels = (np.array(colour) + random.integers(-60, 60, (40, 48, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    block = re.search(r"<!-- own pictures -->\n```\n(.+?)```", README, re.DOTALL)
    assert block
    lines = [shlex.split(line, comments=True) for line in block[1].splitlines()]
    assert len(lines) >= 10
    for program, *words in lines:
        assert program == "ssl"
        result = ssl(shlex.join(words))
        assert result.code == 0, (words, result.err)
    assert (tmp_path / "results" / "predictions" / "images.png").exists()
    assert list((tmp_path / "results" / "export").glob("*/*.onnx"))
