"""ssl data check --labels-too: planted wrong labels come first in the file, the table and the picture."""

import csv
import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sslcli.labelling import wrong_labels
from sslcli.runs.run import Run
from tests.conftest import Cli, Refused
from tests.labelling.conftest import COLOURS, Done

WRONG = {"day0/0.png", "day1/1.png", "day2/2.png"}
"""Pictures with the label of the other colour."""
LINE = "data check --dataset folder:photos --labels all.csv --labels-too"


@pytest.fixture
def labelled(photos: Path, tmp_path: Path) -> Path:
    """Labels for all pictures in the sub-folders, of which three are wrong, all of them for training."""
    lines = ["path,label,split"]
    for number in range(60):
        path, names = f"day{number % 5}/{number}.png", list(COLOURS)
        lines.append(f"{path},{names[(number + (path in WRONG)) % 2]},{'test' if number > 50 else 'train'}")
    assert photos.exists()
    (tmp_path / "all.csv").write_text("\n".join(lines))
    return tmp_path / "all.csv"


@pytest.fixture
def learned(done: Done, labelled: Path) -> Run:
    assert labelled.exists()
    return done("pretrain --dataset folder:photos --labels all.csv --backbone resnet9-small --batch-size 16 --epochs 1")


@pytest.mark.usefixtures("learned")
def test_planted_wrong_labels_come_first_in_the_file_the_table_and_the_picture(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(wrong_labels, "save_picture", lambda figure, *_, **__: drawn.append(figure))
    result = ssl(LINE)
    assert result.code == 0, result.err
    (file,) = tmp_path.glob("results/data/*_labels.csv")
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["path"] for row in rows[:3]} == WRONG
    assert {(row["given"], row["perhaps"]) for row in rows[:3]} == {("red", "blue"), ("blue", "red")}
    assert f"Suspect training labels: {len(rows)} of 51," in result.out
    assert all(path in result.out for path in WRONG)
    panels = [axes for axes in drawn[0].axes if axes.images]
    assert [axes.get_title() for axes in panels[:3]] == [f"{row['given']}?" for row in rows[:3]]
    assert [axes.get_xlabel() for axes in panels[:3]] == [row["perhaps"] for row in rows[:3]]


@pytest.mark.usefixtures("learned")
def test_json_stays_one_document(ssl: Cli, tmp_path: Path) -> None:
    result = ssl(f"{LINE} --format json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["sizes"]["train"] == 52
    assert list(tmp_path.glob("results/data/*_labels.png"))


@pytest.mark.usefixtures("learned")
def test_labels_that_cannot_be_judged_are_named_or_refused_before_anything_is_written(
    ssl: Cli, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "one.csv").write_text("path,label,split\nday0/0.png,red,train\nday1/1.png,blue,train\nday2/2.png,red,train\n")
    refused(
        (LINE.replace("all.csv", "one.csv"), 2, "has no two classes with two training labels each"),
        (f"{LINE} --image-size 8", 2, "sees 32 pixels, but folder:photos is shown at 8"),
        (
            f"{LINE} --fit pad",
            2,
            "was trained with --fit crop, but folder:photos is shown with --fit pad; accepted is --fit crop",
        ),
        (f"{LINE} --run nope", 3, "no finished run is called 'nope'"),
    )
    assert not (tmp_path / "results").exists()
    (tmp_path / "all.csv").write_text((tmp_path / "all.csv").read_text().replace("day3/3.png,blue", "day3/3.png,green"))
    result = ssl(LINE)
    assert (result.code, "not judged, because nothing is left to learn from: 1 class, 'green' (1)" in result.err) == (0, True)


def test_without_an_encoder_the_command_to_type_is_said(ssl: Cli, labelled: Path) -> None:
    result = ssl(LINE)
    assert labelled.exists()
    assert (result.code, "ssl pretrain" in result.err) == (3, True), result.err
