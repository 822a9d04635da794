"""Few labels: before anything is trained, how wide the interval of a difference will be."""

from __future__ import annotations

from pathlib import Path

from sslcli.console.messages import say
from sslcli.data.folder.label_file import predicted_in
from sslcli.data.image_data import ImageData
from sslcli.data.split import UNLABELLED
from sslcli.evaluation.statistics import DISAGREEMENT, expected_half

WIDE = 0.05
"""Half the width of an interval, as a fraction, from which a message tells it."""
FOLDS = 10
"""The folds that the message proposes."""


def tell_of_width(data: ImageData, *, folds: int | None, labels: Path | None) -> None:
    """Say how wide the 95 % interval of a difference will be with these test images, and what helps, if it is wide.

    Folds help only if a person gave all labels: those in the file `labels` may be a classifier's.
    """
    tested = len(data.test_labels)
    labelled = tested + int((data.train_labels != UNLABELLED).sum())
    half, in_folds = expected_half(tested), expected_half(labelled, folds=folds or FOLDS)
    if folds is not None and in_folds > WIDE:
        say(f"{labelled:,} labels in {folds} folds: {_words(in_folds)}. What helps: more labels")
    elif folds is None and half > WIDE:
        more = f", or ssl probe --folds {FOLDS}, which tests on all {labelled:,} labels (about ±{100 * in_folds:.0f})"
        more = "" if predicted_in(labels) else more
        say(f"{tested:,} test pictures: {_words(half)}. What helps: more labelled test pictures{more}")


def _words(half: float) -> str:
    return (
        f"the 95 % interval of a difference will be about ±{100 * half:.0f} points, if the two encoders disagree on "
        f"{DISAGREEMENT:.0%} of the pictures; a smaller difference cannot be told from chance"
    )
