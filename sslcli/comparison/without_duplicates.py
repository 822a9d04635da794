"""Compare without the test images that ssl data check found to be duplicates. Imports no torch."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslcli.console.messages import say
from sslcli.data.check_file import read_check
from sslcli.errors import StateError
from sslcli.evaluation.test_logits import FILE, Kept, read_kept
from sslcli.runs.naming import dataset_word
from sslcli.runs.paths import as_read
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def leave_out_duplicates(registry: Registry, runs: list[Run]) -> list[Run]:
    """The runs with metrics from their saved logits on the other test images; metrics over epochs are unknown."""
    if any(run.metrics.get("folds") for run in runs):
        say("compared is the usual test, not the folds: there copies of a picture (near ones if known before) lie in one fold")
    kept = {run.id: _unique(registry, run) for run in runs}
    left = []
    for run in runs:
        right = kept[run.id].right
        metrics: dict[str, Any] = {"test_acc": int(right.sum()) / len(right), "test_images": len(right)}
        both = {
            other.id: int((right & kept[other.id].right).sum())
            for other in runs
            if other.id != run.id and np.array_equal(kept[other.id].indices, kept[run.id].indices)
        }
        left.append(replace(run, metrics=metrics, both_right=both))
    return left


def _unique(registry: Registry, run: Run) -> Kept:
    """The saved test logits of a run without the duplicates."""
    if run.status == "published":
        raise StateError(f"run {run.id} is published without its test logits, so duplicates cannot be left out")
    record, path = registry.load(run), registry.path(f"results/data/{dataset_word(run.dataset)}.json")
    check = registry.command(shlex.join(["ssl", "data", "check", *as_read(registry, record)]))
    if not path.exists():
        raise StateError(f"the duplicates of {run.dataset} are not known yet; to find them, type: {check}")
    found = read_check(path)
    if found.fingerprint != record.data.get("sha256"):
        raise StateError(f"{path} is about other data than {run.id} was trained on; to write it again, type: {check}")
    kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
    unique: NDArray[np.bool_] = ~np.isin(kept.indices, found.test_duplicates)
    if not unique.any():
        raise StateError(f"every test image of {run.dataset} is a duplicate at threshold {found.threshold}: none is left")
    say(f"{run.id}: {int(unique.sum()):,} of {len(unique):,} test images, without duplicates")
    return Kept(kept.logits[unique], kept.labels[unique], kept.indices[unique])
