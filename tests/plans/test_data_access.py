"""What is said while a folder of pictures is read, and how it is named in pictures."""

from pathlib import Path

import pytest
from PIL import Image

from sslcli.options.pictures import Views
from sslcli.plans.data_access import reading_of
from sslcli.runs.registry import Registry
from tests.conftest import Cli


def test_what_is_said_of_a_folder_is_said_once_by_a_command(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    command = Views(dataset="folder:photos")
    for _ in range(3):
        reading = reading_of(registry, command)
        assert reading is not None
        reading.say("2 pictures cannot be read")
    assert capsys.readouterr().err == "2 pictures cannot be read\n"
    again = reading_of(Registry(registry.root), command)
    assert again is not None
    again.say("2 pictures cannot be read")
    assert capsys.readouterr().err == "2 pictures cannot be read\n"


def test_a_picture_of_views_names_the_folder_from_the_project_and_nobodys_own_folders(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (40, 40), (80 * number, 9, 99)).save(tmp_path / "photos" / "a" / f"{number}.png")
    (tmp_path / "project").mkdir()
    result = ssl(f"views --dataset folder:{tmp_path}/photos --n 2 --views 1 --project project --out views.png")
    assert result.code == 0, result.err
    with Image.open("views.png") as picture:
        assert picture.text["Title"] == "Views of folder:../photos: what the encoder sees"  # type: ignore[attr-defined]
