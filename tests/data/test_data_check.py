"""What is in the data: planted duplicates are found, untouched pictures are not, and a comparison can leave them out."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sslcli.comparison.without_duplicates import leave_out_duplicates
from sslcli.data.check_file import Check, Pair, read_check, write_check
from sslcli.data.check_file import test_duplicates_of as duplicates_of
from sslcli.data.duplicates import THRESHOLD, constant_images, duplicate_pairs, first_equal, near_duplicates
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.data.sets import shapes
from sslcli.errors import StateError
from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.figures.pairs import ShownPair
from sslcli.gallery import data_check
from sslcli.gallery.data_check import distinct
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli

Done = Callable[[str], Run]


def shifted(image: Tensor) -> Tensor:
    return torch.roll(image, (1, -1), (1, 2))


def brightened(image: Tensor) -> Tensor:
    return (image.float() * 0.8 + 30).clamp(0, 255).to(torch.uint8)


def re_encoded(image: Tensor) -> Tensor:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=90)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": torch.clone,
    "shifted": shifted,
    "brightened": brightened,
    "mirrored": lambda image: image.flip(2),
    "re-encoded": re_encoded,
}


def planted(data: ImageData) -> ImageData:
    """The data with every change of a training image among the test images: of training image 10 n as test image n."""
    test = data.test_images.clone()
    labels = data.test_labels.clone()
    for place, change in enumerate(CHANGES.values()):
        test[place], labels[place] = change(data.train_images[10 * place]), data.train_labels[10 * place]
    return ImageData(
        train_images=data.train_images, train_labels=data.train_labels, test_images=test, test_labels=labels,
        classes=data.classes,
    )  # fmt: skip


def test_every_planted_duplicate_is_found_and_no_other_pair() -> None:
    found = duplicate_pairs(planted(load_data("shapes", Path())))
    assert {(pair.where_a, pair.i, pair.where_b, pair.j) for pair in found} == {
        ("train", 10 * place, "test", place) for place in range(len(CHANGES))
    }
    kinds = {pair.j: pair.kind for pair in found}
    assert [kinds[place] for place in range(len(CHANGES))] == ["exact", "near", "near", "mirrored", "near"]
    assert duplicate_pairs(load_data("shapes", Path())) == []


def test_of_copies_within_the_test_all_but_the_first_are_left_out_and_of_those_in_training_all() -> None:
    within = [Pair("exact", "test", 3, "test", 5, 1.0, 0, 0), Pair("near", "test", 3, "test", 8, 0.9, 0, 0)]
    across = [Pair("exact", "train", 0, "test", 7, 1.0, 0, 0), Pair("exact", "train", 1, "train", 2, 1.0, 0, 0)]
    assert duplicates_of(within + across) == [5, 7, 8]


def test_without_duplicates_every_figure_is_of_the_images_that_are_left(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.array([0, 1, 0, 1, 0, 1])
    said = {"pretrained": [0, 1, 0, 0, 0, 1], "scratch": [0, 1, 1, 1, 1, 1]}
    data = {"sha256": "f" * 64}
    runs = []
    for init, classes in said.items():
        run = registry.create(init, experiment="linear_eval", status="finished", init=init, dataset="shapes", data=data)
        keep(registry.path(f"{run.folder}/{FILE}"), Kept(np.eye(2, dtype=np.float32)[classes], labels, np.arange(6)))
        runs.append(run)
    pairs = [Pair("exact", "test", 0, "test", 1, 1.0, 0, 1), Pair("near", "train", 9, "test", 3, 0.9, 0, 0)]
    check = Check(
        dataset="shapes", fingerprint="f" * 64, sizes={"train": 10, "test": 6}, classes=["a", "b"],
        class_balance={"train": [5, 5], "test": [3, 3]}, mean=[0.5], std=[0.2], constant=[], threshold=0.8, pairs=pairs,
        test_duplicates=duplicates_of(pairs),
    )  # fmt: skip
    write_check(registry.path("results/data/shapes.json"), check)
    monkeypatch.setattr("sslcli.comparison.without_duplicates.as_read", lambda *_: [])
    pretrained, scratch = leave_out_duplicates(registry, runs)
    assert pretrained.metrics == {"test_acc": 1.0, "test_images": 4}  # 0, 2, 4, 5 are left
    assert scratch.metrics == {"test_acc": 0.5, "test_images": 4}
    assert (pretrained.both_right, scratch.both_right) == ({scratch.id: 2}, {pretrained.id: 2})


def test_a_copy_within_test_of_an_image_near_one_in_training_counts_as_in_training() -> None:
    known = {"dataset": "shapes", "fingerprint": "f" * 64, "sizes": {"train": 9, "test": 9}, "classes": [], "class_balance": {},
             "mean": [], "std": [], "constant": [], "threshold": 0.9}  # fmt: skip
    pairs = [Pair("near", "train", 3, "test", 5, 0.95, 0, 0), Pair("exact", "test", 5, "test", 7, 1.0, 0, 0)]
    counts = Check(**known, pairs=pairs, test_duplicates=[5, 7]).counts["test_images"]
    assert counts == {"exact_in_train": 0, "near_in_train": 2, "within_test_only": 0, "any": 2, "left_out": 2}


def test_pictures_that_differ_in_one_pixel_are_not_the_same_bytes() -> None:
    image = torch.arange(3 * 32 * 32).remainder(251).to(torch.uint8).view(3, 32, 32)
    other = image.clone()
    other[2, 31, 31] += 1
    assert first_equal([image, other, image.clone(), other.clone()]) == [0, 1, 0, 1]


def test_pictures_that_are_alike_by_less_than_the_threshold_are_no_duplicates() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(40, 3, 8, 8, generator=random), 32, mode="bilinear") * 255
    images[1] = 0.7 * images[0] + 0.3 * images[1]  # a third of it another picture
    images[3] = 0.95 * images[2] + 0.05 * images[3]
    found = near_duplicates(images.to(torch.uint8), threshold=0.3, progress=lambda _: None)
    similar = {(i, j): value for _, i, j, value in found}
    assert 0.4 < similar[0, 1] < THRESHOLD < similar[2, 3]
    kept = near_duplicates(images.to(torch.uint8), threshold=THRESHOLD, progress=lambda _: None)
    assert [(i, j) for _, i, j, _ in kept] == [(2, 3)]


def test_images_of_one_colour_are_found() -> None:
    images = load_data("shapes", Path()).test_images.clone()
    images[7] = torch.tensor([5, 6, 7], dtype=torch.uint8)[:, None, None]
    assert list(constant_images(images)) == [7]


@pytest.fixture
def with_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    original = shapes.load
    monkeypatch.setattr(shapes, "load", lambda *a, **k: planted(original(*a, **k)))


@pytest.mark.usefixtures("with_duplicates")
def test_a_check_is_shown_kept_and_left_out_of_a_comparison(ssl: Cli, done: Done, registry: Registry) -> None:
    result = ssl("data check --dataset shapes")
    assert result.code == 0, result.err
    found = read_check(registry.path("results/data/shapes.json"))
    assert found.test_duplicates == list(range(len(CHANGES)))
    assert registry.path("results/data/shapes_duplicates.png").stat().st_size > 1000
    assert "ssl compare --without-duplicates" in result.err
    done(f"pretrain {TINY}")
    runs = [done("probe --epochs 2"), done("probe --epochs 2 --init scratch")]
    whole: dict[str, Any] = json.loads(ssl("compare --format json").out)
    left: dict[str, Any] = json.loads(ssl("compare --without-duplicates --format json").out)
    for run, row in zip(runs, left["rows"], strict=True):
        right = read_kept(registry.path(f"{run.folder}/{FILE}")).right[len(CHANGES) :]
        assert row["run"] == run.id
        assert (row["test_acc"], row["test_images"]) == (right.mean(), 75)
        assert row["best_test_acc"] is None
    assert [d["interval"] for d in left["differences"]] == ["paired"]
    assert whole["rows"][0]["test_images"] == 80
    assert "75 of 80 test images" in ssl("compare --without-duplicates").err


def test_images_without_a_label_count_in_no_class_and_contradict_none(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*a: Any, **k: Any) -> ImageData:
        data = planted(original(*a, **k))
        data.train_labels[10:] = -1
        return data

    original = shapes.load
    monkeypatch.setattr(shapes, "load", load)
    result = ssl("data check --dataset shapes")
    assert result.code == 0, result.err
    assert "Training images without a label: 230." in result.out
    found = read_check(registry.path("results/data/shapes.json"))
    assert sum(found.class_balance["train"]) == 10
    assert len(found.test_duplicates) == len(CHANGES)
    assert not any(pair.disagrees for pair in found.pairs)


@pytest.mark.usefixtures("pretrained")
def test_without_a_check_or_with_one_of_other_data_the_command_is_named(
    ssl: Cli, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("probe --epochs 2")
    result = ssl("compare --without-duplicates")
    assert (result.code, "ssl data check --dataset shapes" in result.err) == (3, True)
    with monkeypatch.context() as patch:
        original = shapes.load
        patch.setattr(shapes, "load", lambda *a, **k: planted(original(*a, **k)))
        assert ssl("data check --dataset shapes").code == 0
    result = ssl("compare --without-duplicates")
    assert (result.code, "is about other data" in result.err) == (3, True)


@pytest.mark.parametrize("spoil", [lambda c: c | {"test_duplicates": [3]}, lambda _: {}, lambda c: [c]])
@pytest.mark.usefixtures("with_duplicates")
def test_a_damaged_check_is_refused(ssl: Cli, registry: Registry, spoil: Callable[[Any], Any]) -> None:
    assert ssl("data check --dataset shapes").code == 0
    path = registry.path("results/data/shapes.json")
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(StateError, match="damaged"):
        read_check(path)


def test_pairs_that_are_shown_are_of_distinct_pictures() -> None:
    def pair(first: int, second: int, *, where: str = "train", similarity: float = 1.0) -> Pair:
        return Pair("near", where, first, "test", second, similarity, 0, 0)

    links = [pair(1, 1), pair(2, 1), pair(2, 3), pair(4, 5, where="test"), pair(7, 4), pair(7, 5), pair(8, 9)]
    across = [link for link in links if link.where_a == "train"]
    assert [(one.i, one.j) for one in distinct(across, links)] == [(1, 1), (7, 4), (8, 9)]


@pytest.mark.usefixtures("with_duplicates")
def test_the_picture_shows_each_pair_of_distinct_pictures_once_eight_at_most(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[tuple[str, Sequence[ShownPair]]]] = []
    original = data_check.draw_pairs
    monkeypatch.setattr(
        data_check, "draw_pairs", lambda sections, **words: drawn.append(sections) or original(sections, **words)
    )
    assert ssl("data check --dataset shapes").code == 0
    ((closest, least),) = drawn
    shown = [pair for _, pairs in (closest, least) for pair in pairs]
    assert (len(closest[1]), len(shown)) == (4, len(CHANGES))
    assert len({pair.second.tobytes() for pair in shown}) == len(shown) <= 8
