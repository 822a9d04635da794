"""The quality of a classifier beyond accuracy: confusion, calibration, and risk over coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sslcli.errors import StateError

BINS = 15  # of equal width, as in Guo et al. 2017 (arXiv:1706.04599)
Floats = NDArray[np.float64]
Logits = NDArray[np.float32] | NDArray[np.float64]
Bin = tuple[float, float, int]
"""The images whose confidence falls into a bin: mean confidence and accuracy, both in [0, 1], and their number."""


@dataclass(frozen=True)
class Quality:
    """The quality of a classifier's logits on N images of C classes. No number depends on the order of the images.

    `nll` is the mean cross-entropy in nats, `ece` the expected calibration error (l1, 15 bins of equal width, closed
    above), both in float64. `confusion` (C, C) counts images by [true, predicted] class; `class_accuracy` (C,) is NaN for
    a class without images. `reliability` lists the bins that are not empty, by confidence. `risk_coverage` holds two arrays
    (N,): the fraction of images answered, most confident first, and the fraction of errors among them; `aurc` is the mean of
    the latter (Geifman and El-Yaniv 2017, arXiv:1705.08500).
    """

    accuracy: float
    nll: float
    ece: float
    confusion: NDArray[np.int64]
    class_accuracy: Floats
    reliability: list[Bin]
    risk_coverage: tuple[Floats, Floats]
    aurc: float


def quality(logits: Logits, labels: NDArray[np.int64]) -> Quality:
    """The quality of logits (N, C) for the true classes (N,).

    A StateError if there are no images, or a logit is NaN or +inf. A logit of -inf is a probability of 0.
    """
    from sklearn.metrics import confusion_matrix, recall_score  # slow to import, and not needed for training

    answers = _answers(logits, labels)
    bins = reliability_bins(answers.confidence, answers.right)
    classes = range(logits.shape[1])
    coverage, risk = risk_coverage(answers.confidence, answers.right)
    return Quality(
        accuracy=float(answers.right.mean()),
        nll=float(answers.losses.mean()),
        ece=calibration_error(bins),
        confusion=confusion_matrix(answers.labels, answers.predicted, labels=classes),
        class_accuracy=recall_score(
            answers.labels, answers.predicted, labels=classes, average=None, zero_division=np.nan
        ),  # a class's recall is the accuracy on its images
        reliability=bins,
        risk_coverage=(coverage, risk),
        aurc=float(risk.mean()),
    )  # fmt: skip


def headline(logits: Logits, labels: NDArray[np.int64]) -> dict[str, float]:
    """{test_nll: nats, test_ece: in [0, 1]} of logits (N, C), for a run's metrics; errors as in `quality`."""
    answers = _answers(logits, labels)
    ece = calibration_error(reliability_bins(answers.confidence, answers.right))
    return {"test_nll": float(answers.losses.mean()), "test_ece": ece}


@dataclass(frozen=True)
class Answers:
    """For each image, (N,): true and predicted class, the prediction's confidence in [0, 1], the loss in nats."""

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: Floats
    losses: Floats

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each prediction is correct."""
        found: NDArray[np.bool_] = self.predicted == self.labels
        return found


def _answers(logits: Logits, labels: NDArray[np.int64]) -> Answers:
    """The answers in a canonical order, so that sums do not depend on the order of the images."""
    if not len(logits):
        raise StateError("there are no test logits: the evaluation had no test images")
    if not (logits < np.inf).all() or not (logits.max(1) > -np.inf).all():
        raise StateError("the test logits contain NaN or infinity: the evaluation diverged")
    order = np.lexsort((labels, *logits.T))
    logits, labels = logits[order], labels[order]
    scores = torch.from_numpy(logits.astype(np.float64))
    return Answers(
        labels=labels,
        predicted=logits.argmax(1),
        confidence=scores.softmax(1).amax(1).numpy(),
        losses=F.cross_entropy(scores, torch.from_numpy(labels), reduction="none").numpy(),
    )


def reliability_bins(confidence: Floats, right: NDArray[np.bool_]) -> list[Bin]:
    """The non-empty bins (low, high] of `BINS` equal parts of [0, 1], by confidence."""
    from sklearn.calibration import calibration_curve

    accuracy, mean = calibration_curve(right.astype(np.int64), confidence, n_bins=BINS, pos_label=1)
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]  # as in scikit-learn, whose function does not return the counts
    counts = np.bincount(np.searchsorted(inner_edges, confidence), minlength=BINS)
    return list(zip(mean.tolist(), accuracy.tolist(), counts[counts > 0].tolist(), strict=True))


def wilson(accuracy: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """The ends of Wilson's 95 % interval (1927) of accuracies (B,) in [0, 1], each on a number of images (B,), at least 1."""
    z = 1.959964
    centre = (accuracy + z**2 / (2 * counts)) / (1 + z**2 / counts)
    half = z * np.sqrt(accuracy * (1 - accuracy) / counts + (z / (2 * counts)) ** 2) / (1 + z**2 / counts)
    return (centre - half).clip(0, 1), (centre + half).clip(0, 1)


def calibration_error(bins: list[Bin]) -> float:
    """The mean distance of a bin's accuracy from its confidence, weighted by its images (Guo et al. 2017, eq. 3).

    torchmetrics' function is not used: it rounds to float32, and gives images of confidence 1 a sixteenth bin.
    """
    total = sum(count for _, _, count in bins)
    return sum(count * abs(accuracy - confidence) for confidence, accuracy, count in bins) / total


def risk_coverage(confidence: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Coverage k/N and the fraction of errors among the k most confident images, for k from 1 to N.

    Images of equal confidence share their errors evenly, which is the mean over all their orders.
    """
    _, group, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    errors = np.bincount(group, weights=~right, minlength=len(counts))
    ends, until = np.cumsum(counts), np.cumsum(errors)
    position = np.arange(1, len(confidence) + 1)
    at = np.searchsorted(ends, position)
    risk = (until[at] - (ends[at] - position) * errors[at] / counts[at]) / position
    return position / len(position), risk
