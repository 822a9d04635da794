"""Which pictures are asked for next, on representations whose clusters are known."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from sslcli.evaluation.choosing import STRENGTH, typical, unsure
from sslcli.evaluation.linear import standardisation

NONE = np.empty(0, np.int64)


def blobs(sizes: list[int], *, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Points around far corners, as many as `sizes` says, and the corner of each."""
    random = np.random.default_rng(seed)
    corners = 20 * np.eye(len(sizes))
    of = np.repeat(np.arange(len(sizes)), sizes)
    return torch.from_numpy(corners[of] + random.normal(size=(len(of), len(sizes)))).float(), of


def test_the_first_pictures_are_one_of_each_cluster_the_largest_first() -> None:
    h, of = blobs([30, 60, 20, 45])
    assert of[typical(h, NONE, n=4, seed=1)].tolist() == [1, 3, 0, 2]


def test_a_typical_picture_is_near_the_others_of_its_cluster() -> None:
    h, of = blobs([80, 80])
    points = ((h - h.mean(0)) / h.std(0)).numpy()
    for row in typical(h, NONE, n=2, seed=1):
        own = points[of == of[row]]
        near = np.sort(np.linalg.norm(own[:, None] - own, axis=2), axis=1)[:, 1:21].mean(1)
        assert np.linalg.norm(own[near.argmin()] - points[row]) < 1e-4


def test_clusters_without_a_label_come_first_and_no_labelled_picture_is_asked_for() -> None:
    h, of = blobs([40, 40, 40])
    labelled = np.array([0, 1, 41])
    rows = typical(h, labelled, n=1, seed=1)
    assert of[rows].tolist() == [2]
    everything = typical(h, labelled, n=200, seed=1)
    assert sorted(everything.tolist()) == sorted(set(range(120)) - set(labelled.tolist()))


def test_the_same_seed_asks_for_the_same_pictures() -> None:
    h, _ = blobs([50, 50, 50])
    assert typical(h, NONE, n=9, seed=3).tolist() == typical(h, NONE, n=9, seed=3).tolist()


def test_a_margin_is_between_the_two_most_probable_classes() -> None:
    h, of = blobs([30, 30, 30], seed=4)
    labelled = np.array([0, 1, 30, 31, 60, 61])
    rows = unsure(h, labelled, of[labelled], n=10)
    mean, std = standardisation(h)
    points = ((h - mean) / std).numpy()
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit(points[labelled], of[labelled])
    margins = [float(first - second) for first, second, _ in np.sort(model.predict_proba(points), axis=1)[:, ::-1]]
    expected = sorted(set(range(90)) - set(labelled.tolist()), key=lambda row: margins[row])[:10]
    assert rows.tolist() == expected
    assert len(unsure(h, labelled, of[labelled], n=500)) == 84


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_pictures_can_be_asked_for(count: int) -> None:
    h, _ = blobs([2, 1])
    assert len(set(typical(h, NONE, n=count, seed=0).tolist())) == count
