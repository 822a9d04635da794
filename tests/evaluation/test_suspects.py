"""Wrong labels are found by probes that did not learn from them."""

import numpy as np
import torch

from sslcli.evaluation.suspects import FOLDS, folds_of, out_of_fold, suspects


def clusters(images: int, classes: int, *, apart: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around a corner for each class, and their classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    return torch.from_numpy(apart * np.eye(classes)[labels] + random.normal(size=(images, classes))).float(), torch.from_numpy(
        labels
    )


def test_flipped_labels_are_the_first_suspects_with_their_own_class() -> None:
    h, labels = clusters(200, 4, apart=9)
    wrong = labels.clone()
    wrong[:8] = (labels[:8] + 1) % 4
    found = suspects(h, wrong, seed=1)
    assert set(found.rows.tolist()) == set(range(8))
    assert found.classes.tolist() == labels[found.rows].tolist()
    assert (np.diff(found.given - found.other) >= 0).all()


def test_suspects_are_those_of_a_literal_loop_over_the_paper() -> None:
    h, labels = clusters(180, 3, apart=1.5)
    some = (labels < 2) | (torch.arange(180) < 90)  # of the last class half as many: it has a threshold of its own
    h, labels = h[some], labels[some]
    shares, names = out_of_fold(h, labels, seed=1)
    thresholds = [float(np.mean([shares[i, c] for i in range(150) if labels[i] == c])) for c in range(3)]
    margins = {}
    for i in range(150):
        reached = [c for c in range(3) if shares[i, c] >= thresholds[c]]
        if reached and (best := max(reached, key=lambda c: shares[i, c])) != labels[i]:
            margins[i] = shares[i, labels[i]] - shares[i, best]
    assert 3 < len(margins) < 100
    assert suspects(h, labels, seed=1).rows.tolist() == sorted(margins, key=lambda i: margins[i])
    assert names.tolist() == [0, 1, 2]


def test_no_image_is_judged_by_a_probe_that_learned_its_label() -> None:
    h = torch.from_numpy(np.random.default_rng(3).normal(size=(60, 100))).float()
    labels = torch.arange(60) % 2  # nothing in h tells them; a probe that learned them would know every one
    shares, _ = out_of_fold(h, labels, seed=2)
    assert 0.3 < (shares.argmax(1) == labels.numpy()).mean() < 0.7


def test_a_wrong_label_does_not_change_what_its_image_seems_to_be() -> None:
    h, labels = clusters(100, 2, apart=9)
    wrong = labels.clone()
    wrong[7] = 1 - wrong[7]
    before, after = (out_of_fold(h, known, seed=2)[0] for known in (labels, wrong))
    assert before[7].argmax() == after[7].argmax() == labels[7]


def test_every_class_is_divided_evenly_and_a_small_one_is_never_held_out_whole() -> None:
    labels = torch.tensor([0] * 52 + [1] * 2 + [2] * 7)
    folds = folds_of(labels, seed=5)
    for label in range(3):
        counts = torch.bincount(folds[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert len(folds[labels == 1].unique()) == 2


def test_classes_may_have_any_numbers() -> None:
    h, labels = clusters(60, 2, apart=9)
    renamed = labels * 5 + 3
    renamed[0] = 8
    found = suspects(h, renamed, seed=1)
    assert (found.rows.tolist(), found.classes.tolist()) == ([0], [3])
