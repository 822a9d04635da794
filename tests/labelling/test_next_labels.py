"""ssl suggest: a file of pictures to label, which grows with the labels, and a sheet that shows them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sslcli.figures.grids import short_name
from sslcli.runs.run import Run
from tests.conftest import Cli, Refused
from tests.kept_figures import keep_figures
from tests.labelling.conftest import Done


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return list(csv.reader(lines))


def fill(file: Path, label: str) -> list[list[str]]:
    """Label every picture of a file that has no label yet; returns the rows."""
    rows = [[path, given or label, *rest] for path, given, *rest in rows_of(file)]
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as lines:
        csv.writer(lines).writerows(rows)
    return rows


@pytest.mark.usefixtures("unlabelled")
def test_the_file_is_to_be_filled_in_and_grows_with_the_labels(ssl: Cli, photos: Path, tmp_path: Path) -> None:
    result = ssl("suggest --n 6")
    assert result.code == 0, result.err
    file = tmp_path / "results" / "labels" / "next.csv"
    head, *rows = rows_of(file)
    assert head == ["path", "label"]
    assert len({path for path, _ in rows}) == 6
    assert all((photos / path).exists() and label == "" for path, label in rows)
    filled = fill(file, "red")
    more = ssl("suggest --n 5 --labels results/labels/next.csv")
    assert more.code == 0, more.err
    assert "6 labels that you have, 5 pictures to label" in more.out
    again = rows_of(file)
    assert sorted(again[1:7]) == sorted(filled[1:])
    new = {path for path, label in again[7:] if label == ""}
    assert len(new) == 5
    assert new.isdisjoint(path for path, _ in filled)


@pytest.mark.usefixtures("unlabelled")
def test_pictures_for_the_test_are_marked_as_such_and_pictures_chosen_later_are_for_training(ssl: Cli, tmp_path: Path) -> None:
    assert ssl("suggest --for-test --n 8 --out own.csv").code == 0
    assert rows_of(tmp_path / "own.csv")[0] == ["path", "label", "split"]
    assert {part for _, _, part in rows_of(tmp_path / "own.csv")[1:]} == {"test"}
    tested = {path for path, *_ in fill(tmp_path / "own.csv", "blue")[1:]}
    assert ssl("suggest --n 4 --labels own.csv --out own.csv").code == 0
    new = {path: part for path, label, part in rows_of(tmp_path / "own.csv")[1:] if not label}
    assert set(new.values()) == {"train"}
    assert tested.isdisjoint(new)


@pytest.mark.usefixtures("unlabelled")
def test_test_pictures_that_are_not_labelled_yet_stay_in_the_file_and_are_not_asked_for_twice(ssl: Cli, tmp_path: Path) -> None:
    assert ssl("suggest --for-test --n 8 --out own.csv").code == 0
    drawn = rows_of(tmp_path / "own.csv")[1:]
    (tmp_path / "own.csv").write_text((tmp_path / "own.csv").read_text(errors="surrogateescape").replace(",,", ",red,", 3),
                                      errors="surrogateescape")  # fmt: skip
    result = ssl("suggest --n 53 --labels own.csv --out own.csv")
    assert result.code == 0, result.err
    assert "3 labels that you have, 53 pictures to label" in result.out
    rows = rows_of(tmp_path / "own.csv")[1:]
    assert {path for path, _, part in rows if part == "test"} == {path for path, *_ in drawn}
    assert len({path for path, *_ in rows}) == len(rows) == 61


@pytest.mark.usefixtures("probed")
def test_labels_under_another_spelling_or_of_pictures_that_cannot_be_read_here_stay_and_missing_ones_are_none(
    ssl: Cli, photos: Path, tmp_path: Path
) -> None:
    (photos / "day0" / "new.heic").write_bytes(b"not read here")
    written = [("day0\\0.png", "red", "train"), (f"{photos}/day1/1.png", "", "test"), ("day0/new.heic", "red", "test")]
    lines = ["path,label,split", *(",".join(row) for row in written), "day2/2.png,nan,train"]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    result = ssl("suggest --n 3 --labels own.csv --out own.csv")
    assert result.code == 0, result.err
    assert "2 labels that you have, 3 pictures to label" in result.out
    rows = rows_of(tmp_path / "own.csv")[1:]
    kept = [("day0/0.png", "red", "train"), ("day1/1.png", "", "test"), ("day0/new.heic", "red", "test")]
    assert [tuple(row) for row in rows[:3]] == kept
    assert len(rows) == 6
    assert {path for path, *_ in rows[3:]}.isdisjoint({"day0/0.png", "day1/1.png"})


@pytest.mark.usefixtures("probed")
def test_the_labels_of_the_run_are_kept_with_their_parts_and_its_test_pictures_are_not_asked_for(
    ssl: Cli, tmp_path: Path
) -> None:
    assert ssl("suggest --n 3 --how margin --out next.csv").code == 0
    head, *rows = rows_of(tmp_path / "next.csv")
    assert head == ["path", "label", "split"]
    few = dict(rows_of(tmp_path / "few.csv")[1:])
    assert {path: label for path, label, _ in rows if label} == few
    assert sum(part == "test" for _, label, part in rows if label) == 4
    assert [part for _, label, part in rows if not label] == ["train"] * 3


@pytest.mark.usefixtures("unlabelled")
def test_the_sheet_shows_the_pictures_of_the_file_in_its_order(
    ssl: Cli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = keep_figures(monkeypatch, "labelling.next_labels")
    assert ssl("suggest --n 7 --out next.csv").code == 0
    (figure,) = drawn.values()
    panels = [axes for axes in figure.axes if axes.images]
    for number, ((path, _), axes) in enumerate(zip(rows_of(tmp_path / "next.csv")[1:], panels, strict=True), 1):
        assert axes.get_title() == str(number)
        assert axes.get_xlabel() == short_name(Path(path).name)
        mean = np.asarray(Image.open(photos / path)).mean((0, 1))
        assert np.asarray(axes.images[0].get_array()).mean((0, 1)) == pytest.approx(mean, abs=6)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for axes in panels for text in (axes.title, axes.xaxis.label)]
    assert min(box.x0 for box in boxes) >= 0
    assert min(box.y0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.width
    assert (tmp_path / "results" / "predictions" / "suggested.png").exists()


@pytest.mark.usefixtures("probed")
def test_what_cannot_be_suggested_is_refused_and_nothing_is_lost(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("path,label\nday0/0.png,red\n")
    (tmp_path / "away.csv").write_text("path,label\nday9/0.png,red\n")
    (tmp_path / "notes.csv").write_text("my notes\n")
    before = {path: path.read_bytes() for path in tmp_path.glob("*.csv")}
    refused(
        ("suggest --n 500", 2, "--n 500: accepted is at most the 41 training pictures without a label"),
        ("suggest --out few.csv", 3, "few.csv has 20 labels, which would be lost"),
        ("suggest --out notes.csv", 3, "ssl suggest did not write it"),
        ("suggest --labels away.csv", 2, "1 of its 1 paths are not in the folder"),
        ("suggest --labels nowhere.csv", 3, "there is no such file"),
        ("suggest --labels one.csv --how margin --n 2", 2, "it needs labels of at least two classes"),
        ("suggest --how best", 2, "accepted: typical, margin"),
        ("suggest --n 0", 2, "--n 0"),
        ("suggest --run nope", 3, "no finished run is called"),
    )
    assert {path: path.read_bytes() for path in tmp_path.glob("*.csv")} == before
    assert not (tmp_path / "results").exists()


def test_a_run_of_a_named_data_set_has_no_paths_to_write(ssl: Cli, pretrained: Run) -> None:
    result = ssl("suggest")
    assert result.code == 2
    assert f"run {pretrained.id} learned from shapes; accepted is a run of --dataset folder:PATH" in result.err


def test_where_every_picture_has_a_label_a_file_of_few_labels_is_asked_for(ssl: Cli, done: Done, photos: Path) -> None:
    for path in list(photos.rglob("*.png")):
        if path.parent == photos or path.name == "broken.png":
            path.unlink()
    done("pretrain --dataset folder:photos --backbone resnet9-small --batch-size 16 --epochs 1 --max-steps 1")
    result = ssl("suggest --n 2")
    assert result.code == 3
    assert "has a label; to choose among those that a file leaves out, type: ssl suggest --labels" in result.err
