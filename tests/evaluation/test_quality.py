"""What is said of a classifier beyond its accuracy: against slow literal computations, at the edges, and in its pictures."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from sslcli.errors import StateError
from sslcli.evaluation.quality import BINS, headline, quality, risk_coverage
from sslcli.evaluation.test_logits import Kept
from sslcli.figures.quality import FEW, Judged, draw_confusion, draw_reliability, draw_risk_coverage

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


@pytest.fixture
def judged() -> list[Judged]:
    return [
        Judged(f"{name}, run-{name}", quality(found.logits, found.labels), look)
        for look, (name, found) in enumerate({"pretrained": kept(sharpness=2), "scratch": kept(sharpness=0.5, seed=1)}.items())
    ]


def check(figure: Figure) -> None:
    """Nothing leaves the picture, and nothing of legend and panels lies on each other."""
    figure.savefig(io.BytesIO())
    panels = [axes.get_tightbbox() for axes in figure.axes]
    for box in [*panels, figure._suptitle.get_window_extent()]:  # type: ignore[attr-defined]
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1
    for legend in figure.legends:
        assert all(box.y0 >= legend.get_window_extent().y1 - 1 for box in panels)
        assert legend.get_window_extent().y0 >= -1


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_confusions_are_per_cent_of_each_true_class_beside_each_other(judged: list[Judged]) -> None:
    names = [f"class{i}" for i in range(CLASSES)]
    figure = draw_confusion(judged, classes=names, title="t", subtitle="s")
    check(figure)
    for axes, one in zip(figure.axes, judged, strict=True):
        shown = axes.images[0].get_array()
        assert np.asarray(shown).sum(1) == pytest.approx(np.full(CLASSES, 100))
        assert axes.get_title() == f"{one.label}\naccuracy {one.quality.accuracy:.2%}"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == names
        by_place = {text.get_position(): text.get_text() for text in axes.texts}
        assert by_place[(0, 0)] == f"{100 * one.quality.class_accuracy[0]:.0f}"
        assert len(by_place) == (one.quality.confusion > 0).sum()
    assert len(draw_confusion(judged[1:], classes=names, title="t", subtitle="s").axes) == 1


def test_of_three_matrices_the_middle_one_is_not_covered_by_title_or_legend(judged: list[Judged]) -> None:
    names = [f"class{i}" for i in range(CLASSES)]
    figure = draw_confusion([*judged, judged[0]], classes=names, title="kNN: confusions", subtitle="39 test images")
    figure.draw_without_rendering()
    middle = figure.axes[1]
    texts = (figure._supxlabel, middle.xaxis.label, middle.title, figure._suptitle)  # type: ignore[attr-defined]
    boxes = [text.get_window_extent() for text in texts]
    assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))


def test_a_hundred_classes_are_drawn_without_numbers() -> None:
    labels = np.arange(200) % 100
    many = Judged("a", quality(np.eye(100, dtype=np.float32)[labels], labels))
    figure = draw_confusion([many], classes=[f"class{i}" for i in range(100)], title="t", subtitle="s")
    assert not figure.axes[0].texts


def test_reliability_shows_both_curves_the_diagonal_and_the_bins_images(judged: list[Judged]) -> None:
    figure = draw_reliability(judged, title="t", subtitle="s")
    check(figure)
    upper, lower = figure.axes
    assert upper.lines[0].get_xdata().tolist() == upper.lines[0].get_ydata().tolist() == [0, 100]
    for line, pale, bars, one in zip(upper.lines[1::2], upper.lines[2::2], lower.containers, judged, strict=True):
        confidence, accuracy, counts = np.array(one.quality.reliability).T
        assert line.get_xdata() == pytest.approx(100 * confidence)
        assert line.get_ydata() == pytest.approx(np.where(counts < FEW, np.nan, 100 * accuracy), nan_ok=True)
        assert pale.get_ydata() == pytest.approx(100 * accuracy[counts < FEW])
        assert pale.get_linestyle() == "None"
        assert [bar.get_height() for bar in bars] == counts.tolist()  # type: ignore[attr-defined]
        middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]  # type: ignore[attr-defined]
        assert all(abs(x - 100 * c) < 100 / BINS for x, c in zip(middles, confidence, strict=True))
    assert f"ECE {judged[0].quality.ece:.2%}" in legend_texts(figure)[1]
    assert lower.patches[0].get_hatch() != lower.patches[-1].get_hatch()


def test_a_bin_of_few_images_is_pale_and_says_how_many(judged: list[Judged]) -> None:
    upper = draw_reliability(judged, title="t", subtitle="s").axes[0]
    counts = [np.array(one.quality.reliability)[:, 2] for one in judged]
    few = [str(int(count)) for of in counts for count in of if count < FEW]
    assert few
    assert [text.get_text() for text in upper.texts if text.get_text().isdigit()] == few
    markers = [found for found in upper.collections if isinstance(found, PathCollection)]
    for found, of in zip(markers, counts, strict=True):
        full = of[of >= FEW]
        assert found.get_sizes().argsort(kind="stable").tolist() == full.argsort(kind="stable").tolist()
        assert len(found.get_offsets()) == len(full)  # type: ignore[arg-type]
        assert found.get_sizes().min() >= 3**2
    for pale in upper.lines[2::2]:
        assert pale.get_alpha() < 0.5
        assert pale.get_markersize() == 3


def test_the_bars_of_a_bin_are_the_intervals_of_its_accuracy(judged: list[Judged]) -> None:
    upper = draw_reliability(judged, title="t", subtitle="s").axes[0]
    drawn = sorted(
        tuple(segment[:, 1])
        for bars in upper.collections
        if isinstance(bars, LineCollection)
        for segment in bars.get_segments()
    )
    expected = []
    for one in judged:
        for _, accuracy, count in one.quality.reliability:
            ends = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
            expected.append((100 * ends.low, 100 * ends.high))
    assert np.array(drawn) == pytest.approx(np.array(sorted(expected)), abs=1e-3)


@pytest.mark.parametrize("images", [1, 3, 15])
def test_reliability_of_few_images_alone_is_drawn(images: int) -> None:
    found = kept(sharpness=2)
    check(draw_reliability([Judged("a", quality(found.logits[:images], found.labels[:images]))], title="t", subtitle="s"))


def test_risk_over_coverage_ends_at_the_error_of_all_images(judged: list[Judged]) -> None:
    figure = draw_risk_coverage(judged, title="t", subtitle="s")
    check(figure)
    for line, one in zip(figure.axes[0].lines, judged, strict=True):
        assert line.get_xdata()[-1] == 100
        assert line.get_ydata()[-1] == pytest.approx(100 * (1 - one.quality.accuracy))
    first, second = figure.axes[0].lines
    assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
    assert f"AURC {judged[1].quality.aurc:.2%}" in legend_texts(figure)[1]


def test_the_confusions_of_many_classes_make_a_picture_that_can_be_read() -> None:
    classes = 400
    labels = np.arange(2 * classes) % classes
    judged = [Judged(name, quality(np.eye(classes)[labels], labels)) for name in ("pretrained", "scratch")]
    figure = draw_confusion(judged, classes=[str(label) for label in range(classes)], title="t", subtitle="s")
    width, height = figure.get_size_inches() * figure.dpi
    assert width * height < Image.MAX_IMAGE_PIXELS
