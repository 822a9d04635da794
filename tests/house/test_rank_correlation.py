"""The benchmark of rank correlation: which numbers of a study it compares, and that the correlation is Spearman's."""

import pytest

from sslcli.runs.registry import Registry
from tests.benchmarks.rank_correlation import Measured, correlation, encoders, main, of_methods, table


def points(figures: list[float], accuracies: list[float]) -> list[Measured]:
    return [Measured("r", "m", None, {"rankme": one}, other) for one, other in zip(figures, accuracies, strict=True)]


def ranks(values: list[float]) -> list[float]:
    """The rank of each value, counted: how many are smaller, and half of those that are equal."""
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


@pytest.mark.parametrize(
    ("figures", "accuracies"),
    [([1, 5, 3, 2], [0.1, 0.2, 0.4, 0.3]), ([4, 4, 1, 7, 2], [0.5, 0.6, 0.6, 0.9, 0.1]), ([3, 2, 1], [0.1, 0.2, 0.3])],
)
def test_the_correlation_is_that_of_the_counted_ranks(figures: list[float], accuracies: list[float]) -> None:
    first, second = ranks(figures), ranks(accuracies)
    mean = (len(first) + 1) / 2
    products = sum((a - mean) * (b - mean) for a, b in zip(first, second, strict=True))
    squares = [sum((a - mean) ** 2 for a in column) for column in (first, second)]
    assert correlation(points(figures, accuracies), "rankme") == pytest.approx(products / (squares[0] * squares[1]) ** 0.5)


def test_two_points_and_equal_values_have_no_correlation() -> None:
    assert correlation(points([1, 2], [0.1, 0.2]), "rankme") is None
    assert correlation(points([1, 1, 1], [0.1, 0.2, 0.3]), "rankme") is None
    assert correlation(points([1, 2, 3], [0.1, 0.2, 0.3]), "lidar") is None


@pytest.fixture
def study(registry: Registry) -> Registry:
    """Three methods with two seeds; of one run three epochs were probed, and RankMe falls while accuracy rises."""
    for place, method in enumerate(("simclr", "byol", "dino")):
        for seed in (1, 2):
            history = [
                {
                    "epoch": epoch,
                    "step": epoch,
                    "val/rankme": 40.0 + 10 * place - epoch,
                    "val/alpha_req": 1 - 0.1 * place + seed / 100,
                }
                for epoch in (1, 2, 3)
            ]
            run = registry.create("pre", experiment="pretrain", status="finished", study="s", method=method, history=history)
            for at_epoch in (1, 2, None) if (method, seed) == ("simclr", 1) else (None,):
                accuracy = 0.5 + 0.1 * place + 0.01 * seed + (at_epoch or 3) / 100
                registry.create(
                    "lin", experiment="linear_eval", status="finished", study="s", protocol="linear", method=method,
                    parent=run.id, label_fraction=1.0, at_epoch=at_epoch, metrics={"test_acc": accuracy, "test_images": 100},
                )  # fmt: skip
            registry.create(
                "few", experiment="linear_eval", status="finished", study="s", protocol="linear", method=method, parent=run.id,
                label_fraction=0.1, metrics={"test_acc": 0.1, "test_images": 100},
            )  # fmt: skip
    return registry


def test_a_method_counts_once_and_each_epoch_has_its_own_figures(study: Registry) -> None:
    found = encoders(study, "s")
    assert len(found) == 8
    assert [(one.at_epoch, one.figures["rankme"]) for one in found[:3]] == [(1, 39.0), (2, 38.0), (None, 37.0)]
    methods = of_methods(found)
    assert [one.method for one in methods] == ["simclr", "byol", "dino"]
    assert [one.figures["rankme"] for one in methods] == [37.0, 47.0, 57.0]
    assert [one.accuracy for one in methods] == pytest.approx([0.545, 0.645, 0.745])
    assert [one.figures["alpha_req"] for one in methods] == pytest.approx([-0.015, -0.085, -0.185])


def test_the_table_has_a_line_for_each_figure_and_is_printed(study: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    lines = table(encoders(study, "s"))
    assert lines == [
        "| figure | over 3 methods | over epochs, 1 pretrainings |",
        "|---|---:|---:|",
        "| RankMe of z | +1.00 | -1.00 |",
        "| LiDAR of h | – | – |",
        "| alpha-ReQ of h, distance from 1 | -1.00 | – |",
        "| kNN on held-out labels | – | – |",
    ]
    assert main(["--project", str(study.root), "--study", "s"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
