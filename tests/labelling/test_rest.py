"""ssl predict --images FOLDER --out labels.csv: every picture once, sure as it should be, and back in as --labels."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sslcli.data.folder import picture_cache, picture_stream
from sslcli.data.folder.manifest import FILE, read_manifest
from sslcli.data.folder.picture_stream import read_in_turn
from sslcli.evaluation.classifiers import load_classifier
from sslcli.evaluation.temperature import fit_temperature
from sslcli.evaluation.test_logits import FILE as LOGITS
from sslcli.evaluation.test_logits import read_kept
from sslcli.labelling import rest
from sslcli.plans.data_access import data_of_run
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli, Refused
from tests.labelling.conftest import COLOURS, picture

Done = Callable[[str], Run]
HEAD = ["path", "label", "split", "confidence", "distance", "unlike", "by"]
LINE = "predict --images photos --out labels.csv"


def rows_of(file: Path) -> dict[str, dict[str, str]]:
    """The rows of a written file by path."""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        head, *rows = csv.reader(lines)
    assert head == HEAD
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_every_readable_picture_is_labelled_once_and_broken_ones_are_named(
    ssl: Cli, probed: Run, photos: Path, tmp_path: Path
) -> None:
    result = ssl(LINE)
    assert result.code == 0, result.err
    rows = rows_of(tmp_path / "labels.csv")
    everything = {path.relative_to(photos).as_posix() for path in photos.rglob("*.png")}
    assert rows.keys() == everything - {"day0/broken.png"}
    assert "'day0/broken.png': " in result.err
    with (tmp_path / "labels.skipped.csv").open(newline="") as lines:
        assert [row[0] for row in csv.reader(lines)] == ["path", "day0/broken.png"]
    assert "20 labels that were given; 41 predicted (" in result.out
    assert probed.id in result.err
    assert {path.name for path in tmp_path.glob("labels*")} == {"labels.csv", "labels.skipped.csv"}


def test_a_predicted_label_has_the_classifiers_class_and_its_confidence_at_the_chosen_temperature(
    ssl: Cli, probed: Run, registry: Registry, tmp_path: Path
) -> None:
    assert ssl(LINE).code == 0
    record = registry.load(probed)
    (classifier, artifact), data = load_classifier(registry, record), data_of_run(registry, record, None)
    files, rows = data.files("train"), rows_of(tmp_path / "labels.csv")
    labelled = {line.path: line.label for line in read_manifest(registry.path(f"{record.folder}/{FILE}")) if line.label}
    chosen = [place for place, path in enumerate(files) if path not in labelled and path in rows]
    classifier.eval()
    with torch.no_grad():
        logits = classifier(data.normalise(data.train_images[chosen]))
        val = data.split(seed=record.seed or 0).val
        temperature = fit_temperature(classifier(data.normalise(data.train_images[val])), data.train_labels[val])
    found = [rows[files[place]] for place in chosen]
    assert len(found) == 40
    assert [row["label"] for row in found] == [artifact["classes"][label] for label in logits.argmax(1).tolist()]
    confidence = [float(row["confidence"]) for row in found]
    assert confidence == pytest.approx((logits / temperature).softmax(1).amax(1).tolist(), abs=1e-2)
    assert confidence != pytest.approx(logits.softmax(1).amax(1).tolist(), abs=1e-2)
    assert {(row["by"], row["split"]) for row in found} == {("predicted", "train")}


def test_labels_and_parts_that_were_given_stay_so_that_no_test_is_on_predicted_labels(
    ssl: Cli, done: Done, probed: Run, registry: Registry, tmp_path: Path
) -> None:
    assert ssl(LINE).code == 0
    lines = read_manifest(registry.path(f"{probed.folder}/{FILE}"))
    given = {line.path: (line.label, line.part) for line in lines if line.label}
    rows = rows_of(tmp_path / "labels.csv")
    assert {path: (row["label"], row["split"]) for path, row in rows.items() if row["by"] == "given"} == given
    again = done("probe --labels labels.csv --epochs 1")
    more = read_manifest(registry.path(f"{again.folder}/{FILE}"))
    tested = [{line.sha256 for line in some if line.part == "test" and line.label} for some in (lines, more)]
    assert tested[0] == tested[1]
    assert sum(bool(line.label) for line in more) == len(rows) == 61


@pytest.mark.usefixtures("probed")
def test_predicted_labels_are_neither_tested_in_folds_nor_called_given_later(
    ssl: Cli, refused: Refused, registry: Registry, tmp_path: Path
) -> None:
    assert ssl(LINE).code == 0
    result = ssl("probe --labels labels.csv --epochs 1")
    assert result.code == 0, result.err
    assert "What helps: more labelled test pictures\n" in result.err
    again = registry.find("latest", experiment="linear_eval").id
    refused(
        ("probe --labels labels.csv --folds 2", 2, "41 of the labels in labels.csv were predicted (column by)"),
        ("study --dataset folder:photos --labels labels.csv --folds 2", 2, "were predicted (column by)"),
        ("suggest --n 2 --labels labels.csv", 2, "41 of its labels were predicted (column by)"),
        (f"suggest --n 2 --run {again}", 2, "41 of its labels were predicted (column by)"),
    )
    assert ssl(f"predict --images photos --out second.csv --run {again}").code == 0
    first, second = (rows_of(tmp_path / name) for name in ("labels.csv", "second.csv"))
    assert {path: row["by"] for path, row in first.items()} == {path: row["by"] for path, row in second.items()}


@pytest.mark.usefixtures("probed")
def test_labels_that_a_person_gave_are_not_written_over(ssl: Cli, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "hand.csv").write_text("path,label\nday0/0.png,red\nday1/1.png,\nday2/2.png,blue\n")
    (tmp_path / "notes.csv").write_text("my notes\n")
    refused(
        (
            "predict --images photos --out hand.csv",
            3,
            "hand.csv has 1 label, which would be lost; to keep them, choose",
        ),
        ("predict --images photos --out notes.csv", 3, "notes.csv exists, and ssl predict did not write it"),
    )
    for _ in range(2):
        assert ssl(LINE).code == 0
    written = (tmp_path / "labels.csv").read_text(errors="surrogateescape")
    (tmp_path / "labels.csv").write_text(written.replace(",predicted", ",given", 1), errors="surrogateescape")
    refused((LINE, 3, "labels.csv has 1 label, which would be lost"))
    (tmp_path / "empty.csv").touch()
    assert ssl("predict --images photos --out empty.csv").code == 0


def test_a_foreign_picture_is_unlike_what_was_trained_on(ssl: Cli, probed: Run, tmp_path: Path) -> None:
    assert probed
    for number in range(4):
        picture(tmp_path / "other" / f"{number}.png", COLOURS["red"], 200 + number)
    Image.new("RGB", (40, 40), (10, 250, 20)).save(tmp_path / "other" / "green.png")
    assert ssl("predict --images other --out other.csv").code == 0
    rows = rows_of(tmp_path / "other.csv")
    assert max(rows, key=lambda path: float(rows[path]["distance"])) == "green.png"
    assert rows["green.png"]["unlike"] == "yes"
    assert {row["by"] for row in rows.values()} == {"predicted"}


def test_the_calibration_is_that_of_the_saved_test_logits(ssl: Cli, probed: Run, registry: Registry, tmp_path: Path) -> None:
    result = ssl(LINE)
    tested = len(read_kept(registry.path(f"{probed.folder}/{LOGITS}")).labels)
    assert f"calibration error on {tested} test images: from {100 * probed.metrics['test_ece']:.1f} to " in result.out
    assert (tmp_path / "results" / "predictions" / "calibration.png").exists()


@pytest.mark.usefixtures("probed")
def test_what_cannot_be_labelled_is_refused_and_nothing_is_written(
    ssl: Cli, refused: Refused, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_bytes(b"x")
    few = (tmp_path / "few.csv").read_bytes()
    line = "predict --out labels.csv --images"
    refused(
        (f"{line} empty", 3, "no picture in this folder"),
        (f"{line} nowhere", 3, "there is no such file or folder"),
        (f"{line} bad", 2, "bad: no readable picture: 1 of 1 pictures cannot be read"),
        (f"{line} photos photos", 2, "accepted with --out labels.csv is one folder"),
        (f"{line} bad/1.png", 2, "accepted with --out labels.csv is one folder"),
        ("predict --images photos --out few.csv", 2, "learned from the labels in this file"),
        (f"{line} photos --encoder-seed 3", 2, "leave it out"),
        ("predict --images photos --out labels.txt", 2, "names that end in .png"),
    )
    (tmp_path / "folder.csv").mkdir()
    assert ssl("predict --images photos --out folder.csv").code == 2
    assert not list(tmp_path.glob("*labels*"))
    assert (tmp_path / "few.csv").read_bytes() == few
    assert photos.exists()


@pytest.mark.usefixtures("probed")
def test_a_file_is_whole_or_not_there(ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = "path,label,split,confidence,distance,unlike,by\n"
    (tmp_path / "labels.csv").write_text(before)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rest, "read_in_turn", stopped)
    assert ssl(LINE).code == 130
    assert [path.read_text() for path in tmp_path.glob("*labels*")] == [before]


@pytest.mark.parametrize("workers", [1, 2])
def test_pictures_come_in_order_and_only_a_few_are_read_ahead(
    workers: int, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_stream, "SOME", 3)
    monkeypatch.setattr(picture_stream, "FEW", 0)
    monkeypatch.setattr(picture_cache, "AHEAD", 1)
    paths = [f"day{number % 5}/{number}.png" for number in range(60)]
    coming = read_in_turn(photos, [*paths[:4], "day0/broken.png", *paths[4:]], side=8, fit="crop", workers=workers)
    first, second = next(coming), next(coming)
    (photos / paths[-1]).unlink()  # not read yet
    everything = [*first, *second, *(read for some in coming for read in some)]
    assert [path for path, _ in everything] == [*paths[:4], "day0/broken.png", *paths[4:]]
    assert [path for path, read in everything if isinstance(read, str)] == ["day0/broken.png", paths[-1]]
    assert first[0][1].shape == (3, 8, 8)  # type: ignore[union-attr]
