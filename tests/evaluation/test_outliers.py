"""How well a score tells two sets of images apart, beside a literal count."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sslcli.errors import StateError
from sslcli.evaluation.outliers import auroc, auroc_difference, knn_distance
from sslcli.evaluation.statistics import paired, paired_scores, t_quantile


def literal(inside: np.ndarray, outside: np.ndarray) -> float:
    return sum((b > a) + 0.5 * (b == a) for a in inside for b in outside) / (len(inside) * len(outside))


@pytest.mark.parametrize("seed", range(4))
def test_auroc_counts_the_pairs_in_their_order_and_half_of_equal_ones(seed: int) -> None:
    random = np.random.default_rng(seed)
    inside, outside = random.integers(0, 6, 23).astype(float), random.integers(2, 9, 31).astype(float)
    assert auroc(inside, outside) == pytest.approx(literal(inside, outside))
    assert auroc(outside, inside) == pytest.approx(1 - literal(inside, outside))


def test_auroc_of_sets_apart_is_1_and_of_equal_scores_one_half() -> None:
    assert auroc(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert auroc(np.zeros(5), np.zeros(7)) == 0.5
    with pytest.raises(StateError, match="nothing can be told apart"):
        auroc(np.array([]), np.array([1.0]))


def test_the_difference_of_two_aurocs_is_paired_and_has_delongs_variance() -> None:
    random = np.random.default_rng(0)
    inside, outside = random.normal(0, 1, 400), random.normal(1, 1, 300)
    better = (inside, outside + 0.4)
    found = auroc_difference(better, (inside, outside))
    assert found.value == pytest.approx(auroc(*better) - auroc(inside, outside))
    of_inside = [np.mean((b[None] > a[:, None]), 1) for a, b in (better, (inside, outside))]
    of_outside = [np.mean((b[:, None] > a[None]), 1) for a, b in (better, (inside, outside))]
    variance = np.var(np.subtract(*of_inside), ddof=1) / 400 + np.var(np.subtract(*of_outside), ddof=1) / 300
    assert found.high - found.low == pytest.approx(2 * t_quantile(299) * variance**0.5)
    same = auroc_difference(better, better)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert vars(auroc_difference((inside[:1], outside), (inside[:1] + 1, outside))) | {"value": 0} == {
        "value": 0, "low": -1.0, "high": 1.0,
    }  # fmt: skip


def test_at_least_93_percent_of_the_intervals_of_a_difference_cover_the_truth() -> None:
    random, truth = np.random.default_rng(1), NormalDist().cdf(1.2 / 2**0.5) - NormalDist().cdf(0.7 / 2**0.5)
    covered = 0
    for _ in range(400):
        shared, noise = random.normal(0, 0.8, (2, 60)), random.normal(0, 0.6, (2, 2, 60))
        arms = [(shared[0] + noise[arm, 0], shared[1] + noise[arm, 1] + more) for arm, more in enumerate((1.2, 0.7))]
        found = auroc_difference(*arms)
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.93


def test_the_knn_distance_is_that_of_the_kth_nearest_by_cosine() -> None:
    bank, queries = torch.randn(30, 5), torch.randn(4, 5)
    cosines = F.normalize(queries) @ F.normalize(bank).mT
    assert torch.allclose(knn_distance(bank, queries, k=3), 1 - cosines.sort(1, descending=True).values[:, 2])
    assert torch.allclose(knn_distance(bank[:2], queries), 1 - cosines[:, :2].amin(1))
    with pytest.raises(StateError, match="no training images"):
        knn_distance(bank[:0], queries)


def test_scores_that_are_right_or_wrong_have_the_interval_of_paired_counts() -> None:
    first, second = np.array([1, 1, 1, 0, 0, 1.0]), np.array([0, 1, 0, 0, 1, 0.0])
    apart = first - second
    assert paired_scores(apart.mean(), (apart**2).mean(), 6) == paired(4, 2, 1, 6)
