"""No images where a filter may leave none: what can be made of them is made, empty; what cannot is an error in words."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli.data.augment import Augmentation, make_views, sample_parameters
from sslcli.data.batches import generator
from sslcli.data.duplicates import (
    COARSE,
    FINE,
    candidates,
    constant_images,
    duplicate_pairs,
    first_equal,
    near_duplicates,
    similarity,
    whitening,
)
from sslcli.data.image_data import ImageData, in_parts
from sslcli.errors import StateError
from sslcli.evaluation.features import outputs
from sslcli.evaluation.health import health
from sslcli.evaluation.knn import knn_accuracy, knn_votes
from sslcli.evaluation.metrics import score
from sslcli.evaluation.neighbours import nearest_with_cosines, share_of_class
from sslcli.evaluation.quality import quality
from sslcli.models.encoder import build_encoder
from tests.conftest import Cli


def images(count: int, side: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


def data(train: int, test: int, side: int = 32) -> ImageData:
    return ImageData(
        train_images=images(train, side), train_labels=torch.zeros(train, dtype=torch.int64), classes=("a",),
        test_images=images(test, side), test_labels=torch.zeros(test, dtype=torch.int64),
    )  # fmt: skip


NONE, H = images(0), torch.empty(0, 5)
NO_LABELS = torch.empty(0, dtype=torch.int64)


def test_no_images_are_similar_to_nothing_whatever_the_filter_leaves() -> None:
    whitener = whitening(images(3), FINE)
    assert similarity(NONE, NONE, whitener, least=0.5).shape == (0,)
    assert similarity(images(2), images(3)[:2], whitener, least=2.0).shape == (2,)  # none is hopeful
    assert similarity(images(2), images(2), whitener, least=-1.0).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert [found.shape for found in candidates(NONE, least=0.6, progress=lambda _: None)] == [(0,)] * 3
    assert torch.isfinite(whitening(NONE, COARSE)).all()
    for count in (0, 1):
        assert near_duplicates(images(count), threshold=0.8, progress=lambda _: None) == []


@pytest.mark.parametrize("side", [32, 40])
@pytest.mark.parametrize(("train", "test"), [(0, 0), (0, 2), (2, 0), (1, 0)])
def test_a_part_without_images_has_no_duplicates(train: int, test: int, side: int) -> None:
    assert duplicate_pairs(data(train, test, side)) == []
    assert constant_images(images(0, side)) == first_equal(images(0, side)) == list(in_parts(images(0, side), 5)) == []


def test_images_that_are_alike_in_outline_alone_are_checked_without_an_error(ssl: Cli, tmp_path: Path) -> None:
    """Every pair is a candidate, and none is hopeful: what the coarse step sees is equal, what the fine one sees is not."""
    random = np.random.default_rng(0)
    outline = random.integers(40, 216, (8, 8, 3)).repeat(4, 0).repeat(4, 1)
    for number in range(12):
        fine = random.choice([-1, 1], (16, 16, 3))
        fine[1::2, ::2], fine[::2, 1::2], fine[1::2, 1::2] = -fine[::2, ::2], -fine[::2, ::2], fine[::2, ::2]
        file = tmp_path / f"photos/{'ab'[number % 2]}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((outline + 39 * fine.repeat(2, 0).repeat(2, 1)).astype(np.uint8)).save(file)
    told = ssl("data check --dataset folder:photos --threshold 0.99")
    assert (told.code, "Traceback" in told.err) == (0, False)
    assert "no duplicates across training and test" in told.err


@pytest.mark.parametrize(("backbone", "stem"), [("resnet9", "own"), ("resnet18", "conv3-s2"), ("vit-tiny", "patch4")])
def test_no_images_have_no_representations_of_the_nets_width(backbone: str, stem: str) -> None:
    encoder = build_encoder(backbone, stem=stem, seed=0)
    found = outputs(encoder, NONE, normalise=lambda some: some.float() / 255, autocast=nullcontext)
    assert (found.shape, found.dtype) == ((0, encoder.dim), torch.float32)


def test_no_images_have_no_views_neighbours_or_votes() -> None:
    parameters = sample_parameters(0, 32, 32, Augmentation(blur=0.5), generator(0, "empty"))
    assert make_views(NONE, parameters, size=24, mean=torch.zeros(3), std=torch.ones(3)).shape == (0, 3, 24, 24)
    assert [found.shape for found in nearest_with_cosines(torch.randn(4, 5), H, k=2)] == [(0, 2)] * 2
    assert knn_votes(torch.randn(4, 5), torch.zeros(4, dtype=torch.int64), H, classes=3).shape == (0, 3)


BANK = torch.randn(4, 5), torch.zeros(4, dtype=torch.int64)
ASKED: dict[str, tuple[Callable[[], object], str]] = {
    "votes of nobody": (lambda: knn_votes(H, NO_LABELS, BANK[0], classes=3), "no labelled training images"),
    "accuracy by nobody": (lambda: knn_accuracy(H, NO_LABELS, *BANK), "no labelled training images"),
    "kNN of none": (lambda: knn_accuracy(*BANK, H, NO_LABELS), "no images to classify"),
    "accuracy of none": (lambda: score(torch.empty(0, 3), NO_LABELS, prefix="val"), "val: there are no images"),
    "share of no neighbours": (lambda: share_of_class(NO_LABELS.view(0, 3), NO_LABELS, NO_LABELS), "no neighbours"),
    "quality of none": (lambda: quality(np.empty((0, 3)), np.empty(0, np.int64)), "no test logits"),
    "health of none": (lambda: health(H, H, H), "no images"),
    "mean of none": (lambda: data(0, 2).normalisation, "no training images"),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_figure_of_no_images_is_an_error_in_words_not_a_division_by_zero(what: str) -> None:
    ask, words = ASKED[what]
    with pytest.raises(StateError, match=words):
        ask()
