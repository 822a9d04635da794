"""Accuracy over time: only what was measured of one encoder is joined, and seeds become a mean and a band."""

import json
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from sslcli.figures.end_labels import label_ends, spread
from sslcli.figures.over_time import Measured, draw_over_time
from sslcli.gallery.accuracy_over_time import figure_over_time
from sslcli.runs.run import Run

CLOCK = {1.0: 60.0, 2.0: 120.0, 3.0: 300.0}


def pretraining(seed: int, **known: Any) -> Run:
    """Three epochs, one a minute, of the seed."""
    values = {
        "id": f"pre{seed}", "experiment": "pretrain", "status": "finished", "study": "s", "setup": "one", "seed": seed,
        "epochs": 3.0, "backbone": "resnet18", "dataset": "cifar10",
        "history": [{"epoch": n, "step": 10 * n, "seconds": 60.0 * n} for n in (1, 2, 3)],
    }  # fmt: skip
    return Run(**{**values, **known})


def probe(seed: int, accuracy: float, epoch: int | None = None, **known: Any) -> Run:
    values = {
        "id": f"probe{seed}{epoch}", "experiment": "linear_eval", "protocol": "linear", "status": "finished", "study": "s",
        "setup": "probe", "pair": f"probe{seed}", "seed": seed, "init": "pretrained", "parent": f"pre{seed}", "at_epoch": epoch,
        "dataset": "cifar10", "label_fraction": 1.0, "metrics": {"test_acc": accuracy},
    }  # fmt: skip
    return Run(**{**values, **known})


def scratch(seed: int, accuracy: float) -> Run:
    return probe(seed, accuracy, id=f"scratch{seed}", init="scratch", parent=None)


def drawn(runs: list[Run]) -> Axes:
    newest = [run for run in runs if run.experiment == "pretrain"][-1]
    found = figure_over_time(runs, newest, lambda run: run)
    assert found is not None
    (axes,) = found[0].axes
    return axes


def lines(axes: Axes) -> list[list[tuple[float, float]]]:
    """The points of each line that joins some, horizontal ones aside."""
    joined = [line for line in axes.lines if line.get_linestyle() not in ("None", "") and line.get_xdata()[-1] > 1]
    return [list(zip(line.get_xdata().tolist(), line.get_ydata().round(3).tolist(), strict=True)) for line in joined]


def test_the_last_accuracy_of_a_seed_is_a_point_and_no_line_beside_a_seed_whose_epochs_were_measured() -> None:
    runs = [
        pretraining(1), pretraining(2), scratch(1, 0.4), scratch(2, 0.38),
        probe(1, 0.5, 1), probe(1, 0.6, 2), probe(1, 0.7), probe(2, 0.68),
    ]  # fmt: skip
    axes = drawn(runs)
    assert lines(axes) == [[(0, 40), (1, 50), (2, 60), (3, 70)]]
    (lone,) = [line for line in axes.lines if line.get_linestyle() in ("None", "")]
    assert (lone.get_xdata().tolist(), lone.get_ydata().tolist()) == ([3], [68])
    assert [text.get_text() for text in axes.texts if "linear" in text.get_text()] == [
        "linear evaluation (1 of 2 seeds) 70.00 %"
    ]
    assert not [band for band in axes.collections if isinstance(band, PolyCollection)]


def test_where_only_last_encoders_were_measured_there_is_no_figure() -> None:
    runs = [pretraining(1), pretraining(2), scratch(1, 0.4), probe(1, 0.7), probe(2, 0.68)]
    assert figure_over_time(runs, runs[1], lambda run: run) is None


def test_seeds_become_a_mean_and_a_band_where_all_were_measured() -> None:
    runs = [pretraining(1), pretraining(2), scratch(1, 0.4), scratch(2, 0.38)]
    runs += [probe(1, 0.5, 1), probe(1, 0.6, 2), probe(1, 0.7), probe(2, 0.62, 2), probe(2, 0.68)]
    axes = drawn(runs)
    assert lines(axes) == [[(0, 39), (2, 61), (3, 69)]]
    (band,) = [band for band in axes.collections if isinstance(band, PolyCollection)]
    assert {(x, round(y, 3)) for x, y in band.get_paths()[0].vertices.tolist()} == {
        (0, 38), (0, 40), (2, 60), (2, 62), (3, 68), (3, 70)
    }  # fmt: skip
    assert any("(2 seeds) 69.00 %" in text.get_text() for text in axes.texts)


def test_other_options_another_study_and_other_probes_are_not_drawn_with_it() -> None:
    runs = [pretraining(1), probe(1, 0.5, 1), probe(1, 0.7)]
    others = [
        pretraining(2, setup="other"), pretraining(3, study="t"), pretraining(4, status="failed"),
        *(probe(seed, 0.1 * seed, epoch) for seed in (2, 3, 4) for epoch in (1, None)),
        probe(1, 0.99, id="another", setup="other probe"),
    ]  # fmt: skip
    assert lines(drawn(others + runs)) == [[(1, 50), (3, 70)]]


def test_the_published_accuracy_of_no_seed_is_a_line_and_that_of_a_seed_is_none() -> None:
    entries = json.loads(json.dumps([
        {"id": "theirs", "study": "original", "metrics": {"best_test_acc": 0.5887}},
        {"id": "of-a-seed", "study": "other", "seed": 1, "metrics": {"best_test_acc": 0.9}},
        {"id": "of-other-data", "study": "third", "dataset": "cifar100", "metrics": {"best_test_acc": 0.3}},
    ]))  # fmt: skip
    common = {"experiment": "linear_eval", "protocol": "linear", "status": "published", "init": "pretrained"}
    published = [Run(**{"dataset": "cifar10", **common, **entry}) for entry in entries]
    axes = drawn([*published, pretraining(1), scratch(1, 0.4), probe(1, 0.5, 1), probe(1, 0.7)])
    horizontal = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert horizontal == pytest.approx([40, 58.87])
    assert [text.get_text() for text in axes.texts if "%" in text.get_text()] == [
        "scratch 40.00 %", "original 58.87 % (best on test)", "linear evaluation 70.00 %"
    ]  # fmt: skip


def test_nothing_leaves_the_figure_and_names_do_not_lie_on_each_other() -> None:
    one = [Measured("linear evaluation", [{1.0: 0.5, 3.0: 0.512}], 0), Measured("kNN", [{1.0: 0.4, 3.0: 0.511}], 2)]
    figure = draw_over_time(
        one, clock=CLOCK, lines=[(0.51, "scratch"), (0.5105, "original 58.87 %")], title="t " * 60, machine="machine " * 20
    )
    figure.draw_without_rendering()
    box = figure.get_tightbbox()  # in inches
    assert min(box.x0, box.y0) >= 0
    assert (box.x1, box.y1) <= tuple(figure.get_size_inches())
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[number + 1 :])


def test_the_axis_of_minutes_is_the_clock_there_and_back() -> None:
    figure = draw_over_time([Measured("a", [{1.0: 0.5, 3.0: 0.6}], 0)], clock=CLOCK, lines=[], title="t", machine="m")
    there, back = figure.axes[0].child_axes[0]._functions
    assert there([0, 1, 2, 2.5, 3]) == pytest.approx([0, 1, 2, 3.5, 5])
    assert back(there([-1, 0.3, 2.7, 4])) == pytest.approx([-1, 0.3, 2.7, 4])


@pytest.mark.parametrize("heights", [[], [0.5], [0.5, 0.5, 0.51], [0.98, 0.99, 1.0], [0.0, 0.01, 0.5]])
def test_names_are_spread_in_order_within_the_panel(heights: list[float]) -> None:
    moved = spread(heights, 0.06)
    assert all(later - earlier >= 0.06 - 1e-9 for earlier, later in pairwise(moved))
    assert all(0 <= height <= 1 for height in moved)


def test_a_name_stands_at_its_lines_height() -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_ylim(10, 20)
    label_ends(axes, [(18, "upper", "k"), (12, "lower", "k")])
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [("lower", 0.2), ("upper", 0.8)]
