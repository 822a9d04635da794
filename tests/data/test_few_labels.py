"""Classes with too few labelled images are named wherever they stop an evaluation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli.data.image_data import ImageData, enough_labels
from sslcli.data.split import NAMED, hold_to_labels
from sslcli.errors import UsageError
from tests.conftest import Cli

COMMANDS = ["probe --init scratch", "probe --init scratch --protocol knn", "probe --init scratch --protocol logistic",
            "probe --init scratch --protocol linear-augmented", "finetune --init scratch"]  # fmt: skip


def draw(root: Path, counts: dict[str, int]) -> None:
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(root / name / f"{number}.png")


@pytest.mark.parametrize("command", COMMANDS)
def test_classes_with_a_single_picture_are_all_named(ssl: Cli, tmp_path: Path, command: str) -> None:
    draw(tmp_path / "photos", {"ape": 6, "lynx": 1, "owl": 1, "dog": 6})
    told = ssl(f"{command} --backbone resnet9-small --dataset folder:photos")
    assert told.code == 2
    assert "too few labelled images outside the test part: 2 classes, 'lynx' (1), 'owl' (1); each class needs 2" in told.err
    assert "'ape'" not in told.err


def test_a_class_that_a_given_validation_part_leaves_without_a_picture_is_named(ssl: Cli, tmp_path: Path) -> None:
    for part, counts in {"train": {"ape": 3, "lynx": 3}, "val": {"ape": 3}, "test": {"ape": 2, "lynx": 2}}.items():
        draw(tmp_path / "photos" / part, counts)
    told = ssl("probe --init scratch --backbone resnet9-small --dataset folder:photos")
    assert told.code == 2
    assert "no validation image: 1 class, 'lynx' (0); each class needs one in train and one in val" in told.err


def test_the_only_class_is_named(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{i}.png,lynx\n" for i in range(6)))
    draw(tmp_path, {"photos": 8})
    told = ssl("probe --init scratch --backbone resnet9-small --dataset folder:photos --labels labels.csv")
    assert told.code == 2
    assert "all labelled training images are of one class, 'lynx'" in told.err


def test_a_part_of_the_labels_names_the_classes_for_which_it_is_too_small(ssl: Cli, tmp_path: Path) -> None:
    draw(tmp_path / "photos", {"ape": 30, "lynx": 5, "owl": 6})
    told = ssl("probe --init scratch --backbone resnet9-small --dataset folder:photos --label-fraction 0.2")
    assert told.code == 2
    assert "Too small: 2 classes, 'lynx' (4), 'owl' (5)" in told.err


def test_of_many_classes_the_smallest_are_named_and_the_rest_counted() -> None:
    labels = torch.tensor([label for label in range(30) for _ in range(1 if label >= 15 else 3)])
    data = ImageData(
        train_images=torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), train_labels=labels,
        test_images=torch.zeros(1, 3, 8, 8, dtype=torch.uint8), test_labels=torch.zeros(1, dtype=torch.int64),
        classes=tuple(f"kind {label}" for label in range(30)),
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"15 classes, 'kind 15' \(1\), .*'kind 24' \(1\) and 5 more") as told:
        enough_labels(data, 1.0, dataset="x")
    assert str(told.value).count("kind") == NAMED
    with pytest.raises(UsageError, match=r"Too small: 30 classes, 'kind 15' \(1\)"):
        hold_to_labels(data.counts, label_fraction=0.5, dataset="x", classes=data.classes)


def labelled(labels: list[int], *, test: list[int], given_val: list[int] | None = None) -> ImageData:
    return ImageData(
        train_images=torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), train_labels=torch.tensor(labels),
        test_images=torch.zeros(len(test), 3, 8, 8, dtype=torch.uint8), test_labels=torch.tensor(test),
        classes=("ape", "lynx", "owl"), given_val=None if given_val is None else torch.tensor(given_val),
    )  # fmt: skip


def test_labels_are_counted_by_class_without_those_that_are_unknown() -> None:
    data = labelled([0, 0, 1, -1, 2, 2, 2], test=[0, 1, 2], given_val=[1, 3, 4])
    assert data.counts == {0: 2, 1: 1, 2: 3}
    assert data.counts_given == {0: 1, 2: 1}
    assert labelled([0, 1, -1], test=[2, 1, 2]).untaught == [2]


@pytest.mark.parametrize(
    ("given_val", "said"), [([0, 2, 3], "no training image: 1 class, 'lynx'"), ([0], "no validation image: 1 class, 'lynx'")]
)
def test_a_class_that_lacks_an_image_in_one_of_two_given_parts_is_named(given_val: list[int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        enough_labels(labelled([0, 0, 1, 1], test=[0, 1], given_val=given_val), 1.0, dataset="x")


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("fraction", [1.0, 0.9, 0.5, 0.25, 0.1, 0.01])
def test_the_size_of_a_split_is_known_without_drawing_it(fraction: float, given: bool) -> None:
    random = torch.Generator().manual_seed(0)
    for images in (7, 40, 301):
        labels = torch.randint(-1, 3, (images,), generator=random).tolist()
        data = labelled(labels, test=[0], given_val=list(range(0, images, 3)) if given else None)
        for seed in range(3):
            parts = data.split(seed=seed, label_fraction=fraction)
            assert len(parts.train) + len(parts.val) == data.size_of_split(fraction)
