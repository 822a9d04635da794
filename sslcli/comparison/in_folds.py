"""Evaluations in folds: the metrics of all labelled images, each tested once, in place of those of the test. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sslcli.errors import StateError
from sslcli.evaluation.test_logits import IN_FOLDS, Kept, read_kept
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

FIGURES = {"folds_acc", "folds_images", "folds_count"}
"""The metrics of an evaluation in folds."""


def with_folds(registry: Registry, runs: Sequence[Run]) -> list[Run]:
    """The runs; those in folds with the accuracy of the folds, and the images that they have right with each other there.

    If the logits of the folds cannot be read, as of a published run, the accuracy is the recorded one, without counts.
    """
    tested = {run.id: _read(registry, run) for run in runs if run.metrics.keys() >= FIGURES}
    return [_in_folds(run, tested) if run.id in tested else run for run in runs]


def _read(registry: Registry, run: Run) -> Kept | None:
    try:
        return read_kept(registry.path(f"{run.folder}/{IN_FOLDS}"))
    except StateError:
        return None


def _in_folds(run: Run, tested: dict[str, Kept | None]) -> Run:
    mine, figures = tested[run.id], run.metrics
    metrics: dict[str, Any] = {
        "test_acc": figures["folds_acc"], "test_images": figures["folds_images"], "folds": figures["folds_count"]
    }  # fmt: skip
    both = {
        name: int((mine.right & other.right).sum())
        for name, other in tested.items()
        if name != run.id and mine is not None and other is not None and np.array_equal(mine.indices, other.indices)
    }
    return replace(run, metrics=metrics, both_right=both)
