"""Which labels may be wrong, by what a probe says that has not seen them (confident learning, arXiv:1911.00068)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcli.data.batches import generator
from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.logistic import STRENGTHS

FOLDS = 5
ITERATIONS = 50  # more change nothing in who is suspect
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Suspects:
    """Positions (M,) of images whose label may be wrong, the most suspect first; the class that each seems to be, (M,).

    `given` and `other`, (M,), are the probabilities in [0, 1] of the label and of that class.
    """

    rows: Rows
    classes: Rows
    given: NDArray[np.float64]
    other: NDArray[np.float64]


def suspects(h: Tensor, labels: Tensor, *, seed: int) -> Suspects:
    """The suspects among images by representations (N, d) and labels (N,), of which each class has at least two.

    Each fifth is judged by a logistic regression on the other four. A class's threshold is the mean probability that its own
    images get for it. An image is suspect if the most probable class among those that reach their thresholds is not its label.
    They are sorted by the probability of the label minus that of this class.
    """
    shares, names = out_of_fold(h, labels, seed=seed)
    places = np.searchsorted(names, labels.numpy())
    own = shares[np.arange(len(shares)), places]
    thresholds = np.bincount(places, weights=own) / np.bincount(places)
    confident = np.where(shares >= thresholds, shares, -1.0)
    best = confident.argmax(1)
    rows = np.flatnonzero((confident.max(1) >= 0) & (best != places))
    given, other = own[rows], shares[rows, best[rows]]
    order = np.argsort(given - other, kind="stable")
    return Suspects(rows[order], names[best[rows]][order], given[order], other[order])


def out_of_fold(h: Tensor, labels: Tensor, *, seed: int) -> tuple[NDArray[np.float64], Rows]:
    """The probabilities (N, C) that a probe gives each image which has not learned from it, and the C classes, ascending.

    The folds divide each class evenly, at random by the seed. Standardisation uses all images, but no label. The probe's
    regularisation is the one with which the first fold's labels are most probable.
    """
    mean, std = standardisation(h)
    points, known = ((h - mean) / std).numpy(), labels.numpy()
    names, folds = np.unique(known), folds_of(labels, seed=seed).numpy()
    strength, first = _strength(points, known, folds)
    shares = np.zeros((len(points), len(names)))
    shares[folds == 0] = first
    for fold in range(1, int(folds.max()) + 1):
        shares[folds == fold] = _judged(points, known, folds == fold, strength)
    return shares, names


def _strength(points: NDArray[np.float32], labels: Rows, folds: Rows) -> tuple[float, NDArray[np.float64]]:
    """The best of STRENGTHS, weakest first, until one is worse; and the first fold's probabilities with it."""
    judged, best = folds == 0, -np.inf
    places = np.searchsorted(np.unique(labels), labels[judged])
    chosen, shares = STRENGTHS[0], np.empty((0, 0))
    for strength in STRENGTHS:
        found = _judged(points, labels, judged, strength)
        likelihood = float(np.log(found[np.arange(len(found)), places].clip(min=1e-12)).mean())
        if likelihood <= best:
            break
        best, chosen, shares = likelihood, strength, found
    return chosen, shares


def _judged(points: NDArray[np.float32], labels: Rows, judged: NDArray[np.bool_], strength: float) -> NDArray[np.float64]:
    """The probabilities that a probe on the other images gives to the `judged` ones."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ITERATIONS are enough here
        probe = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(points[~judged], labels[~judged])
    found: NDArray[np.float64] = probe.predict_proba(points[judged])
    return found


def folds_of(labels: Tensor, *, seed: int) -> Tensor:
    """The fold (N,) of each image, 0 to 4: every class is divided as evenly as it can be."""
    draws = torch.rand(len(labels), generator=generator(seed, "folds"))
    folds = torch.zeros(len(labels), dtype=torch.int64)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        folds[members[draws[members].argsort()]] = torch.arange(len(members)) % FOLDS
    return folds
