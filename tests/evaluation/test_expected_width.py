"""Intervals with few labels: Nadeau and Bengio's correction, its coverage, and the width that is told before training."""

import pytest

from sslcli.data.image_data import random_data
from sslcli.evaluation.statistics import Terms, expected_half, images_for, over_seeds, overlap
from sslcli.plans.few_labels import tell_of_width
from tests.benchmarks.folds import Setting, simulate
from tests.conftest import Cli


def test_the_variance_of_folds_is_nadeau_and_bengios() -> None:
    folds, images = 10, 200
    of_one_fold = 0.3 / (images / folds)
    usual = of_one_fold / folds
    corrected = (1 / folds + (images / folds) / (images - images / folds)) * of_one_fold
    assert overlap(folds) == pytest.approx(corrected / usual)
    assert overlap(None) == 1
    plain, in_folds = (over_seeds([0.0], [0.3], [], images, terms=Terms(folds=k)) for k in (None, folds))
    widths = [(one.high - one.low) / 2 - 1 / (images + 2) for one in (plain, in_folds)]  # without the correction of one image
    assert (widths[1] / widths[0]) ** 2 == pytest.approx(overlap(folds))


@pytest.mark.parametrize("setting", [Setting(100, 5, 2, (1.0, 1.0), 0.0), Setting(200, 10, 10, (2.0, 1.0), 0.9)])
def test_intervals_of_folds_cover_the_truth_and_uncorrected_ones_do_not(setting: Setting) -> None:
    covered, uncorrected, _, _ = simulate(setting, 5, 120)
    assert covered >= 0.93
    assert uncorrected < covered


def test_the_expected_width_is_that_of_the_interval_and_its_half_needs_the_fewest_images() -> None:
    assert expected_half(40) == pytest.approx(over_seeds([0.0], [0.3], [], 40).high)
    assert expected_half(200, folds=10) < expected_half(40)
    least = images_for(0.05)
    assert expected_half(least) <= 0.05 < expected_half(least - 1)


def test_a_wide_interval_is_told_with_what_helps_and_a_narrow_one_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    data = random_data("cifar10")
    tell_of_width(data, folds=None, labels=None)
    assert capfd.readouterr().err == ""
    tell_of_width(data.first(40), folds=None, labels=None)
    told = " ".join(capfd.readouterr().err.split())
    assert f"40 test pictures: the 95 % interval of a difference will be about ±{100 * expected_half(40):.0f} points" in told
    assert f"ssl probe --folds 10, which tests on all 80 labels (about ±{100 * expected_half(80, folds=10):.0f})" in told
    tell_of_width(data.first(40), folds=5, labels=None)
    assert "80 labels in 5 folds: the 95 % interval" in capfd.readouterr().err


def test_every_command_that_evaluates_tells_the_width_first(ssl: Cli) -> None:
    line = "--init scratch --dataset shapes --backbone resnet9-small --epochs 1"
    for command in ("probe", "finetune --max-steps 1"):
        told = ssl(f"{command} {line}")
        assert told.code == 0, told.err
        assert told.err.count("80 test pictures: the 95 % interval") == 1


def test_the_data_check_says_how_many_labels_would_halve_the_interval(ssl: Cli) -> None:
    shown = " ".join(ssl("data check --dataset shapes").out.split())
    more = -(-images_for(expected_half(80) / 2) * 320 // 80) - 320
    assert (
        f"will be about ±{100 * expected_half(80):.0f} points. About {more:,} more labels, in the same parts, would halve"
        in shown
    )
