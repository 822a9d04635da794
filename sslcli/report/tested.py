"""Which images an evaluation tested, in words: those of the test part, or all labelled ones in folds. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sslcli.comparison.differences import folds_of, images_of
from sslcli.evaluation.naming import heading, in_words, listed, tested
from sslcli.runs.run import Run

IN_A_FOLD = (
    "An image in a fold is tested by a classifier that learned from the other folds; exact copies lie in one fold, and so do "
    "near copies that ssl data check had found before."
)


def tested_by(run: Run) -> str:
    """The images whose accuracy a run gives."""
    return tested(images_of(run), folds_of(run))


def which_tested(runs: Sequence[Run]) -> list[str]:
    """If some evaluations are in folds: a sentence for each set of images, with the evaluations that tested it, and what a fold
    is; else []."""
    places: dict[str, dict[str, None]] = {}
    for run in runs:
        place = in_words(run.experiment, run.label_fraction, run.at_epoch, run.protocol)
        places.setdefault(tested_by(run), {})[place] = None
    if all(folds_of(run) is None for run in runs):
        return []
    told = [f"{heading(listed(list(names)))}: tested on the {images}." for images, names in places.items()]
    return [*told, IN_A_FOLD]
