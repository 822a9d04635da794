"""Which pictures of a folder are drawn for the test, where copies of a picture lie in several classes."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslcli.data.folder.entry import Entry
from sslcli.data.folder.partition import sample_parts
from sslcli.data.folder.reading import Reading, load_folder
from sslcli.data.image_data import enough_labels
from sslcli.errors import UsageError
from tests.conftest import Cli
from tests.data.test_walk import classes, picture


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def drawn(of: dict[str | None, list[int]]) -> tuple[list[Entry], list[str]]:
    """Classes and the numbers of their pictures, equal ones for copies, with the parts that are drawn, and digests."""
    pairs = [
        (Entry(f"{label}/{place}", label), digest(number)) for label, some in of.items() for place, number in enumerate(some)
    ]
    return sample_parts([entry for entry, _ in pairs], [found for _, found in pairs]), [found for _, found in pairs]


def of_each_class_alone(of: dict[str | None, list[int]]) -> set[str]:
    """A fifth of each class, at least one of three, by digest; whatever becomes of other classes."""
    tested = set()
    for label, some in of.items():
        different = sorted({digest(number) for number in some})
        if label is not None:
            tested |= set(different[: max(round(0.2 * len(different)), int(len(different) >= 3))])
    return tested


folders = st.dictionaries(
    st.sampled_from([None, "a", "b", "c", "d", "e"]), st.lists(st.integers(0, 14), min_size=1, max_size=12), min_size=1
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(of=folders)
def test_what_is_drawn_keeps_copies_together_leaves_each_class_a_picture_and_stays_where_it_did_before(
    of: dict[str | None, list[int]],
) -> None:
    entries, digests = drawn(of)
    tested = {found for entry, found in zip(entries, digests, strict=True) if entry.part == "test"}
    trained = {found for entry, found in zip(entries, digests, strict=True) if entry.part == "train"}
    assert not tested & trained
    assert {entry.part for entry in entries} <= {"train", "test"}
    labels = {label for label in of if label is not None}
    assert {entry.label for entry in entries if entry.part == "train"} >= labels
    before = of_each_class_alone(of)
    if all({digest(number) for number in of[label]} - before for label in labels):
        assert tested == before
    other_order = zip(*drawn(dict(reversed(of.items()))), strict=True)
    assert {found for entry, found in other_order if entry.part == "test"} == tested


def first_of(numbers: range) -> list[int]:
    """Numbers in the order in which their pictures are drawn."""
    return sorted(numbers, key=digest)


def test_a_class_whose_only_picture_is_copied_elsewhere_keeps_it_and_the_other_class_is_tested_by_its_next() -> None:
    order = first_of(range(5))
    entries, digests = drawn({"a": order, "b": order[:1]})
    tested = [found for entry, found in zip(entries, digests, strict=True) if entry.part == "test"]
    assert tested == [digest(order[1])]


def test_a_class_of_copies_alone_keeps_two_to_train_and_to_choose_by() -> None:
    order = first_of(range(20))
    entries, _ = drawn({"a": order, "b": order[:4]})
    assert sum(entry.part == "train" for entry in entries if entry.label == "b") == 2
    assert sum(entry.part == "test" for entry in entries if entry.label == "a") == 4


def test_classes_that_hold_the_same_pictures_are_tested_and_trained_all() -> None:
    entries, _ = drawn({label: list(range(10)) for label in "abc"})
    for label in "abc":
        assert [entry.part for entry in entries if entry.label == label].count("test") == 2


def test_a_class_whose_pictures_are_said_to_train_keeps_one_of_them() -> None:
    order = first_of(range(5))
    entries = [Entry(f"a/{number}", "a") for number in order] + [Entry("b/copy", "b", "train")]
    parts = sample_parts(entries, [digest(number) for number in [*order, order[0]]])
    assert parts[-1].part == "train"
    assert sum(entry.part == "test" for entry in parts) == 1


def test_a_drawn_test_part_never_refuses_a_folder(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos", "a", "c", count=5)
    (root / "b").mkdir()
    first = min((root / "a").iterdir(), key=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    (root / "b" / "copy.png").write_bytes(first.read_bytes())
    data = load_folder(root, tmp_path / "cache", Reading())
    assert data.classes == ("a", "b", "c")
    assert data.train_labels.bincount().tolist() == [4, 1, 4]
    assert data.test_labels.bincount(minlength=3).tolist() == [1, 0, 1]


def test_a_class_that_is_tested_alone_is_refused_by_evaluations_and_not_by_pretraining(ssl: Cli, tmp_path: Path) -> None:
    for part, name in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "c"), ("test", "d")):
        for number in range(4):
            picture(tmp_path / "photos" / part / name / f"{number}.png", 10 * ord(name) + number + 1000 * (part == "test"))
    line = "pretrain --dataset folder:photos --backbone resnet9-small --batch-size 4 --max-steps 1 --optimizer sgd"
    result = ssl(line)
    assert result.code == 0, result.err
    for command in ("probe", "probe --protocol knn", "finetune"):
        refused = ssl(command)
        assert (refused.code, "classes 'c', 'd' are only in the test part" in refused.err) == (2, True), refused.err
    assert ssl("data check --dataset folder:photos").code == 0
    (tmp_path / "photos" / "test" / "d").rename(tmp_path / "away")
    data = load_folder(tmp_path / "photos", tmp_path / "cache", Reading())
    with pytest.raises(UsageError, match="class 'c' is only in the test part; add training pictures"):
        enough_labels(data, 1.0, dataset="folder:photos")
