"""The temperature of a classifier, and which pictures are unlike what it was trained on."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from sslcli.errors import StateError
from sslcli.evaluation.quality import quality
from sslcli.evaluation.temperature import confidences, fit_temperature
from sslcli.evaluation.unlike import familiar

CLASSES = 4


def logits_of(images: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is the true probability of each label."""
    random = np.random.default_rng(seed)
    logits = 1.5 * random.normal(size=(images, CLASSES))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(CLASSES, p=share) for share in shares])
    return torch.from_numpy(logits), torch.from_numpy(labels)


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_made_a_classifier_too_sure_or_too_unsure(sharper: float) -> None:
    logits, labels = logits_of(20_000, seed=0)
    temperature = fit_temperature(sharper * logits, labels)
    assert temperature == pytest.approx(sharper, rel=0.05)
    others, theirs = logits_of(20_000, seed=1)
    assert quality((sharper * others / temperature).numpy(), theirs.numpy()).ece < 0.015


def test_the_temperature_has_the_smallest_cross_entropy_with_one_more_picture_of_an_unknown_class() -> None:
    logits, labels = logits_of(30, seed=2)
    smoothed = np.full((30, CLASSES), 1 / CLASSES / 31)
    smoothed[np.arange(30), labels] += 30 / 31

    def loss(log: float) -> float:
        return -float((smoothed * (logits / np.exp(log)).log_softmax(1).numpy()).sum())

    assert np.log(fit_temperature(logits, labels)) == pytest.approx(minimize_scalar(loss, (-1, 1)).x, abs=1e-5)


def test_a_few_pictures_that_are_all_right_do_not_make_a_classifier_certain() -> None:
    labels = torch.arange(20) % CLASSES
    logits = torch.eye(CLASSES)[labels]
    confidence, classes = confidences(logits, fit_temperature(logits, labels))
    assert classes.equal(labels)
    assert confidence.tolist() == pytest.approx([20.25 / 21] * 20, abs=1e-4)


def test_logits_that_know_nothing_get_the_highest_temperature() -> None:
    logits = torch.tensor([[1.0, 0.0]] * 10)
    assert fit_temperature(logits, torch.ones(10, dtype=torch.int64)) == pytest.approx(100)


def test_without_validation_images_there_is_no_temperature_and_no_usual_distance() -> None:
    none = torch.empty(0, dtype=torch.int64)
    with pytest.raises(StateError, match="no validation images"):
        fit_temperature(torch.empty(0, 3), none)
    with pytest.raises(StateError, match="no validation images"):
        familiar(torch.ones(3, 2), torch.empty(0, 2))


def test_the_distance_is_that_to_the_tenth_nearest_whatever_the_length() -> None:
    angles = torch.arange(12) * 0.1
    bank = torch.stack([angles.cos(), angles.sin()], 1) * torch.arange(1, 13)[:, None]
    query = torch.tensor([[5.0, 0.0]])
    assert familiar(bank, query).distances(query).tolist() == pytest.approx([1 - np.cos(0.9)], abs=1e-6)
    assert familiar(bank[:3], query).distances(query).tolist() == pytest.approx([1 - np.cos(0.2)], abs=1e-6)


def test_one_validation_picture_in_twenty_is_unlike_what_was_trained_on_and_a_foreign_one_is() -> None:
    torch.manual_seed(0)
    train, val = (torch.randn(count, 8) + 5 for count in (300, 1000))
    usual = familiar(train, val)
    assert int((usual.distances(val) > usual.threshold).sum()) == 50
    assert (usual.distances(-val) > usual.threshold).all()
