import hashlib
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10

from sslcli.data.batches import Batches, generator
from sslcli.data.image_data import ImageData, centre
from sslcli.data.loading import load_data
from sslcli.data.sets import patchwork
from sslcli.data.sets.patchwork import make_patchwork
from sslcli.data.sets.shapes import OUTLINES, make_shapes
from sslcli.data.split import split
from sslcli.errors import StateError

REAL = Path(__file__).parents[3] / "shared" / "data"
LABELS = torch.arange(1000) % 10


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = (Batches(100, 8, seed=3, drop_last=True) for _ in range(2))
    backwards = [second.at(step) for step in reversed(range(30))]
    assert all(torch.equal(first.at(step), batch) for step, batch in zip(reversed(range(30)), backwards, strict=True))
    assert not torch.equal(first.at(0), Batches(100, 8, seed=4, drop_last=True).at(0))


def test_an_epoch_passes_every_image_once_in_an_order_of_its_own() -> None:
    batches = Batches(50, 8, seed=1, drop_last=False)
    epochs = [torch.cat([batches.at(epoch * 7 + step) for step in range(7)]) for epoch in range(3)]
    for order in epochs:
        assert torch.equal(order.sort().values, torch.arange(50))
    assert not torch.equal(epochs[0], epochs[1])
    assert Batches(50, 8, seed=1, drop_last=True).epoch_steps == 6


def test_generators_with_different_keys_are_independent() -> None:
    draws = [torch.rand(4, generator=generator(1, *key)) for key in ((), ("views", 1), ("views", 2), ("order", 1))]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])


def test_the_split_is_stratified_disjoint_and_by_seed() -> None:
    parts = split(LABELS, seed=1)
    assert len(parts.val) == 100
    assert torch.equal(torch.bincount(LABELS[parts.val]), torch.full((10,), 10))
    assert torch.equal(torch.cat([parts.train, parts.val]).sort().values, torch.arange(1000))
    assert torch.equal(parts.val, split(LABELS, seed=1).val)
    assert not torch.equal(parts.val, split(LABELS, seed=2).val)


def test_label_fractions_are_nested_stratified_and_hold_for_choices_too() -> None:
    parts = {fraction: split(LABELS, seed=1, label_fraction=fraction) for fraction in (0.001, 0.1, 0.5, 1.0)}
    sets = [set(part.train.tolist()) for part in parts.values()]
    assert [len(s) for s in sets] == [10, 90, 450, 900]
    assert all(small < large for small, large in pairwise(sets))
    chosen_by = [set(part.val.tolist()) for part in parts.values()]
    assert [len(s) for s in chosen_by] == [10, 10, 50, 100]
    assert all(small <= large for small, large in pairwise(chosen_by))
    assert torch.equal(torch.bincount(LABELS[parts[0.1].train]), torch.full((10,), 9))


def test_images_without_a_label_are_in_no_part() -> None:
    labels = torch.where(torch.arange(1000) % 4 == 0, -1, LABELS)
    parts = split(labels, seed=1)
    assert torch.equal(torch.cat([parts.train, parts.val]).sort().values, (labels >= 0).nonzero().flatten())


def test_where_the_data_say_which_images_choose_those_do() -> None:
    given = torch.arange(0, 1000, 3)
    parts = split(LABELS, seed=1, given_val=given)
    assert torch.equal(parts.val, given)
    assert torch.equal(parts.train, torch.tensor([i for i in range(1000) if i % 3]))


@pytest.fixture(scope="module")
def shapes() -> tuple[Tensor, Tensor]:
    return make_shapes(400, seed=1)


MAKERS = {"shapes": make_shapes, "patchwork": make_patchwork}


@pytest.mark.parametrize("name", MAKERS)
def test_made_pictures_are_the_same_every_time_and_balanced(name: str) -> None:
    make = MAKERS[name]
    images, labels = make(400, seed=1)
    again = make(400, seed=1)
    assert images.dtype == torch.uint8
    assert images.shape == (400, 3, 32, 32)
    assert torch.equal(images, again[0])
    assert torch.equal(labels, again[1])
    assert torch.equal(torch.bincount(labels), torch.full((len(OUTLINES),), 40))
    assert not torch.equal(images, make(400, seed=2)[0])


@pytest.mark.parametrize("name", MAKERS)
def test_the_class_of_a_made_picture_cannot_be_read_from_its_colours(name: str) -> None:
    from sklearn.linear_model import LogisticRegression

    images, labels = MAKERS[name](3000, seed=5)
    pixels = images.float() / 255
    colours = torch.cat([pixels.mean((2, 3)), pixels.std((2, 3)), pixels.amin((2, 3)), pixels.amax((2, 3))], 1)
    colours = (colours - colours.mean(0)) / colours.std(0).clamp(min=1e-6)  # grain makes some pixel black everywhere
    score = LogisticRegression(max_iter=500).fit(colours[:2000], labels[:2000]).score(colours[2000:], labels[2000:])
    assert score < 0.2  # chance is 0.1; what is left is how much of the picture each shape covers


def test_the_pictures_that_runs_were_made_on_stay_as_they_were() -> None:
    def digest(images: Tensor) -> str:
        return hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]

    assert {name: digest(make(400, seed=1)[0]) for name, make in MAKERS.items()} == {
        "shapes": "77c338473b2f804d", "patchwork": "d2198ffd90255ac8",
    }  # fmt: skip


def test_each_patch_has_its_own_two_colours_and_a_figure_of_the_pictures_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchwork, "GRAIN", 0.0)
    images, labels = make_patchwork(40, seed=3)
    patches = images.view(40, 3, 2, 16, 2, 16).permute(0, 2, 4, 1, 3, 5).reshape(160, 3, 256)
    brightness = patches.float().mean(1)
    light, dark = brightness.amax(1), brightness.amin(1)
    assert (light - dark > 0.1 * 255).all()  # a figure can be told from its ground in grey, too
    corners = patches[:, :, [0, 15, 240, 255]]
    assert (corners == corners[:, :, :1]).all()  # the ground is of one colour, and no figure reaches into the corners
    grounds = corners[:, :, 0].view(40, 4, 3)
    assert all(len(set(map(tuple, picture.tolist()))) == 4 for picture in grounds)
    covered = ((patches.int() - corners[:, :, :1].int()).abs().amax(1) > 8).float().mean(1)
    assert 0.1 < covered.min() < covered.max() < 0.6
    ring, disc = (covered.view(40, 4)[labels == list(OUTLINES).index(kind)].mean() for kind in ("ring", "disc"))
    assert abs(ring - disc) < 0.15  # equal in area, about


def tiny_data(images: Tensor) -> ImageData:
    labels = torch.zeros(len(images), dtype=torch.int64)
    return ImageData(train_images=images, train_labels=labels, test_images=images, test_labels=labels, classes=("a",))


def test_normalisation_is_that_of_the_training_pixels(shapes: tuple[Tensor, Tensor]) -> None:
    data = tiny_data(shapes[0])
    made = data.normalise(data.train_images)
    assert torch.allclose(made.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(made.std((0, 2, 3)), torch.ones(3), atol=1e-3)


def test_normalisation_does_not_look_at_the_test_images(shapes: tuple[Tensor, Tensor]) -> None:
    data = tiny_data(shapes[0][:50])
    darker = replace(data, test_images=data.test_images // 4)
    assert torch.equal(torch.stack(data.normalisation), torch.stack(darker.normalisation))
    half = data.train_images.float() / 255
    assert torch.allclose(data.normalisation[0], half.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(data.normalisation[1], half.std((0, 2, 3), unbiased=False), atol=1e-6)


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_fingerprint_is_of_images_and_labels_of_training_and_of_test(shapes: tuple[Tensor, Tensor], name: str) -> None:
    data = tiny_data(shapes[0][:5])
    changed = getattr(data, name).clone()
    changed.view(-1)[2] ^= 1
    assert replace(data, **{name: changed}).fingerprint != data.fingerprint


@pytest.mark.parametrize(("height", "width", "top", "left"), [(32, 32, 4, 4), (24, 40, 0, 8), (27, 24, 1, 0)])
def test_the_centre_of_an_image_is_what_is_shown(height: int, width: int, top: int, left: int) -> None:
    images = torch.arange(height * width).view(1, 1, height, width)
    assert torch.equal(centre(images, 24), images[..., top : top + 24, left : left + 24])


def test_the_fingerprint_changes_with_one_pixel_or_label(shapes: tuple[Tensor, Tensor]) -> None:
    images = shapes[0][:5]
    changed = images.clone()
    changed[3, 1, 4, 4] ^= 1
    assert tiny_data(images).fingerprint == tiny_data(images.clone()).fingerprint
    assert tiny_data(images).fingerprint != tiny_data(changed).fingerprint


def test_cifar10_is_read_in_rgb_rows(small_cifar: Path) -> None:
    data = load_data("cifar10", small_cifar)
    raw = pickle.loads((small_cifar / CIFAR10.base_folder / "test_batch").read_bytes())["data"]
    assert data.train_images.shape == (100, 3, 32, 32)
    assert data.test_images[7, 2, 5, 9] == raw[7, 2 * 1024 + 5 * 32 + 9]
    assert data.classes[3] == "class3"


def test_missing_cifar10_says_where_it_looked_and_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=rf"not in {tmp_path}/nowhere/cifar-10-batches-py.*--data-dir.*--download"):
        load_data("cifar10", tmp_path / "nowhere")


def test_a_truncated_batch_file_is_named_before_it_is_opened(small_cifar: Path) -> None:
    path = small_cifar / CIFAR10.base_folder / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StateError, match=r"data_batch_3 damaged"):
        load_data("cifar10", small_cifar)


@pytest.mark.skipif(not (REAL / CIFAR10.base_folder).is_dir(), reason="CIFAR-10 is not here")
def test_the_real_cifar10_has_its_known_size_and_mean() -> None:
    data = load_data("cifar10", REAL)
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert torch.allclose(data.normalisation[0], torch.tensor([0.4914, 0.4822, 0.4465]), atol=1e-4)
    assert torch.equal(torch.bincount(data.train_labels), torch.full((10,), 5000))


def test_a_single_image_that_is_left_over_joins_the_batch_before_it() -> None:
    batches = Batches(33, 8, seed=1, drop_last=False, join_single=True)
    assert batches.epoch_steps == 4
    epoch = [batches.at(step) for step in range(4)]
    assert [len(rows) for rows in epoch] == [8, 8, 8, 9]
    assert sorted(torch.cat(epoch).tolist()) == list(range(33))
    assert [len(batches.at(step)) for step in range(4, 8)] == [8, 8, 8, 9]
    assert Batches(33, 8, seed=1, drop_last=True).epoch_steps == 4
    assert [Batches(count, 8, seed=1, drop_last=False, join_single=True).epoch_steps for count in (1, 8, 9, 10)] == [1, 1, 1, 2]
    assert Batches(33, 8, seed=1, drop_last=False).epoch_steps == 5
