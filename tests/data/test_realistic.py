"""A folder as people have them is read whole: what cannot be read is named, and copies stay on one side."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sslcli.data.folder.reading import Reading, load_folder
from tests.benchmarks.realistic import BREAKS, CLASSES, Built, build, counts_of, few_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    root = tmp_path_factory.mktemp("realistic") / "photos"
    return root, build(root, 160)


def test_the_classes_are_as_uneven_as_said() -> None:
    counts = counts_of(2000)
    assert counts == sorted(counts, reverse=True)
    assert counts[0] / counts[-1] == pytest.approx(20, rel=0.03)


def test_what_cannot_be_read_is_skipped_and_named(folder: tuple[Path, Built], tmp_path: Path) -> None:
    root, built = folder
    said: list[str] = []
    data = load_folder(root, tmp_path, Reading(labels=few_of(root), say=said.append))
    (listed,) = tmp_path.glob("*.skipped.csv")
    with listed.open(encoding="utf-8") as file:
        named = {row[0] for row in csv.reader(file)}
    assert set(built.broken) <= named
    assert Counter(built.broken.values()).keys() == set(BREAKS)
    assert f"{len(built.broken)} of {built.pictures} pictures cannot be read" in "".join(said)
    assert len(data.manifest) == built.pictures - len(built.broken)


def test_every_line_of_the_labels_finds_its_picture_with_backslashes_and_accents_too(
    folder: tuple[Path, Built], tmp_path: Path
) -> None:
    root, built = folder
    with few_of(root).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert "\\" in rows[0]["path"]
    data = load_folder(root, tmp_path, Reading(labels=few_of(root)))
    labelled = {line.path: line.label for line in data.manifest if line.label}
    assert labelled == {row["path"].replace("\\", "/"): row["label"] for row in rows}
    assert all(built.classes[path] == label for path, label in labelled.items())
    assert data.classes == tuple(sorted(CLASSES))


def test_a_copy_is_on_the_side_of_its_picture(folder: tuple[Path, Built], tmp_path: Path) -> None:
    root, built = folder
    data = load_folder(root, tmp_path, Reading(labels=few_of(root)))
    parts = defaultdict(set)
    for line in data.manifest:
        parts[line.sha256].add(line.part)
    assert sum(map(len, parts.values())) == len(parts)
    assert len(data.manifest) - len(parts) == built.exact
    assert built.turned > 0


def test_the_folder_is_the_same_every_time(folder: tuple[Path, Built], tmp_path: Path) -> None:
    again = build(tmp_path / "again", 160)
    assert again == folder[1]
    assert few_of(tmp_path / "again").read_bytes() == few_of(folder[0]).read_bytes()
