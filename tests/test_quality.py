"""What is said of a classifier beyond its accuracy: against slow literal computations, at the edges, and in its pictures."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from sslcli.errors import StateError
from sslcli.evaluation.kept import Kept
from sslcli.evaluation.quality import BINS, headline, quality, risk_coverage

CLASSES = 5


def kept(images: int = 400, *, seed: int = 0, sharpness: float = 2.0) -> Kept:
    """Logits that are right more often than chance."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, images)
    logits = random.normal(size=(images, CLASSES)) + 1.2 * np.eye(CLASSES)[labels]
    return Kept((sharpness * logits).astype(np.float32), labels, np.arange(images))


def softmax(row: NDArray[np.float32]) -> list[float]:
    powers = [math.exp(float(logit) - float(max(row))) for logit in row]
    return [power / math.fsum(powers) for power in powers]


def literal_bins(found: Kept) -> list[list[tuple[float, bool]]]:
    """Confidence and rightness of each bin's images, bins closed above, one image at a time."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for row, label in zip(found.logits, found.labels, strict=True):
        shares = softmax(row)
        confidence = max(shares)
        place = next(i for i in range(BINS) if confidence <= (i + 1) / BINS or i == BINS - 1)
        bins[place].append((confidence, shares.index(confidence) == label))
    return bins


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 6.0])
def test_every_number_is_what_the_slow_literal_computation_gives(sharpness: float) -> None:
    found = kept(sharpness=sharpness)
    result, total = quality(found.logits, found.labels), len(found.labels)
    shares = [softmax(row) for row in found.logits]
    assert result.accuracy == found.right.mean()
    losses = [-math.log(row[label]) for row, label in zip(shares, found.labels, strict=True)]
    assert result.nll == pytest.approx(math.fsum(losses) / total, rel=1e-12)
    counts = [[0] * CLASSES for _ in range(CLASSES)]
    for row, label in zip(shares, found.labels, strict=True):
        counts[label][row.index(max(row))] += 1
    assert result.confusion.tolist() == counts
    assert result.class_accuracy.tolist() == pytest.approx([counts[c][c] / sum(counts[c]) for c in range(CLASSES)])
    bins = [members for members in literal_bins(found) if members]
    assert [count for _, _, count in result.reliability] == [len(members) for members in bins]
    expected = [(sum(c for c, _ in m) / len(m), sum(r for _, r in m) / len(m)) for m in bins]
    assert [values for *values, _ in result.reliability] == [pytest.approx(pair) for pair in expected]
    gaps = [len(m) * abs(accuracy - confidence) for m, (confidence, accuracy) in zip(bins, expected, strict=True)]
    assert result.ece == pytest.approx(sum(gaps) / total, rel=1e-12)
    ordered = sorted(((max(row), row.index(max(row)) == label) for row, label in zip(shares, found.labels, strict=True)))[::-1]
    risks = [sum(not right for _, right in ordered[:k]) / k for k in range(1, total + 1)]
    coverage, risk = result.risk_coverage
    assert coverage == pytest.approx([k / total for k in range(1, total + 1)])
    assert risk == pytest.approx(risks)
    assert result.aurc == pytest.approx(sum(risks) / total)


def test_torchmetrics_agrees() -> None:
    found = kept()
    result = quality(found.logits, found.labels)
    logits, labels = torch.from_numpy(found.logits), torch.from_numpy(found.labels)
    assert result.ece == pytest.approx(float(multiclass_calibration_error(logits, labels, CLASSES, n_bins=BINS)), abs=1e-5)
    by_class = multiclass_accuracy(logits, labels, CLASSES, average="none")
    assert result.class_accuracy == pytest.approx(by_class.numpy(), abs=1e-6)


def test_the_headline_is_the_same_numbers() -> None:
    found = kept()
    result = quality(found.logits, found.labels)
    assert headline(found.logits, found.labels) == {"test_nll": result.nll, "test_ece": result.ece}


@pytest.mark.parametrize("ties", [False, True])
def test_the_order_of_the_images_changes_no_bit(ties: bool) -> None:
    found = kept(301)
    logits = found.logits.round() if ties else found.logits
    first = quality(logits, found.labels)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(found.labels))
        again = quality(logits[order], found.labels[order])
        for name, value in vars(first).items():
            np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


def test_equal_confidences_share_their_errors_as_all_their_orders_do_on_average() -> None:
    confidence = np.array([0.5, 0.9, 0.5, 0.5, 0.2])
    right = np.array([True, True, False, False, False])
    each = [[1, *order, 4] for order in itertools.permutations((0, 2, 3))]
    risks = [[sum(~right[order[:k]]) / k for k in range(1, 6)] for order in each]
    coverage, risk = risk_coverage(confidence, right)
    assert coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert risk == pytest.approx(np.mean(risks, 0))


def test_a_perfect_and_sure_classifier_leaves_nothing_to_wish() -> None:
    labels = np.arange(30) % 3
    result = quality((1000 * np.eye(3)[labels]).astype(np.float32), labels)
    assert (result.accuracy, result.nll, result.ece, result.aurc) == (1, 0, 0, 0)
    assert result.confusion.tolist() == [[10, 0, 0], [0, 10, 0], [0, 0, 10]]
    assert result.class_accuracy.tolist() == [1, 1, 1]
    assert result.reliability == [(1.0, 1.0, 30)]
    assert result.risk_coverage[1].tolist() == [0] * 30


def test_a_classifier_that_is_sure_and_always_wrong_is_the_worst() -> None:
    labels = np.arange(30) % 3
    result = quality((1000 * np.eye(3)[(labels + 1) % 3]).astype(np.float32), labels)
    assert (result.accuracy, result.nll, result.ece, result.aurc) == (0, 1000, 1, 1)


def test_one_class_said_of_all_with_equal_confidence() -> None:
    labels = np.arange(40) % 4
    result = quality(np.tile(np.float32([0, 0, math.log(2), 0]), (40, 1)), labels)
    assert result.accuracy == 0.25
    assert result.confusion[:, 2].tolist() == [10] * 4
    assert result.confusion.sum() == 40
    assert result.class_accuracy.tolist() == [0, 0, 1, 0]
    assert result.reliability == [(pytest.approx(0.4), 0.25, 40)]
    assert result.ece == pytest.approx(0.15)
    assert result.risk_coverage[1] == pytest.approx(np.full(40, 0.75))  # all are tied: no coverage is safer than another
    assert result.nll == pytest.approx((30 * math.log(5) + 10 * math.log(2.5)) / 40)


def test_equal_logits_say_the_first_class_as_the_kept_logits_do() -> None:
    found = Kept(np.zeros((4, 3), np.float32), np.array([0, 1, 2, 0]), np.arange(4))
    assert quality(found.logits, found.labels).accuracy == found.right.mean() == 0.5


def test_a_class_without_images_has_no_accuracy() -> None:
    result = quality(np.eye(3, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 0]))
    assert result.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert result.class_accuracy[:2].tolist() == [0.5, 1]
    assert np.isnan(result.class_accuracy[2])


def test_a_probability_of_zero_is_no_damage_and_costs_infinity_only_where_it_was_true() -> None:
    logits = np.log(np.float32([[0.5, 0.5, 1e-30], [1, 1e-30, 1e-30]]))
    logits[logits < -60] = -np.inf
    assert quality(logits, np.array([1, 0])).nll == pytest.approx(math.log(2) / 2)
    assert quality(logits, np.array([2, 0])).nll == math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_logit_is_named(value: float) -> None:
    logits = np.zeros((3, 2), np.float32)
    logits[1, 0] = value
    with pytest.raises(StateError, match="NaN or infinity"):
        quality(logits, np.zeros(3, np.int64))
    with pytest.raises(StateError, match="no test logits"):
        headline(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
