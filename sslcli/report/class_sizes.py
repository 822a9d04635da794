"""What uneven classes mean for the page: what the largest one alone would reach, and how few labels there can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import read_manifest
from sslcli.data.split import LEAST_LABELS
from sslcli.errors import StateError
from sslcli.evaluation.naming import in_words
from sslcli.evaluation.test_logits import FILE, Kept, read_kept
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

UNEVEN = 1.5  # times an equal share of the test images; from there on the page says what the largest class alone would reach
FRACTIONS = (0.1, 0.2, 0.5)


def uneven(registry: Registry, runs: Sequence[Run]) -> list[str]:
    """Sentences about test images of which one class has many more than others, with each run's mean over classes."""
    known = [(run, kept) for run in runs if (kept := _kept(registry, run)) is not None]
    if not known:
        return []
    record, kept = registry.load(known[0][0]), known[0][1]
    classes = record.data.get("classes") or []
    counts = np.bincount(kept.labels, minlength=len(classes))
    share = counts.max() / len(kept.labels)
    if not classes or share * len(classes) < UNEVEN:
        return []
    means = "; ".join(f"{_name(run)} {_over_classes(one):.1%}" for run, one in known if _same(one, kept))
    largest = classes[int(counts.argmax())]
    return [
        f"The classes are uneven: always naming the largest, “{largest}”, would be right for {share:.1%} of the "
        f"{len(kept.labels):,} test images.",
        f"On these test images, the mean of the classes' accuracies counts a small class as much as a large one: {means}.",
    ]  # fmt: skip


def _kept(registry: Registry, run: Run) -> Kept | None:
    """The test logits of a run made here; None if they are not there."""
    try:
        return read_kept(registry.path(f"{run.folder}/{FILE}"))
    except StateError:
        return None


def _same(one: Kept, other: Kept) -> bool:
    return np.array_equal(one.labels, other.labels)


def _over_classes(kept: Kept) -> float:
    return float(np.mean([kept.right[kept.labels == label].mean() for label in np.unique(kept.labels)]))


def _name(run: Run) -> str:
    seed = f" (seed {run.seed})" if run.seed not in (None, 1) else ""
    return f"{in_words(run.experiment, run.label_fraction, run.at_epoch, run.protocol)}, {run.init}{seed}"


def possible_fraction(registry: Registry, runs: Iterable[Run]) -> float | None:
    """The smallest of FRACTIONS that leaves each class enough labels; None if none does. The smallest, if nothing is known."""
    counts: Counter[str] = Counter()
    for run in runs:
        if (file := registry.path(f"{run.folder}/{MANIFEST}")).exists():
            counts = Counter(line.label for line in read_manifest(file) if line.label and line.part != "test")
            break
    smallest = min(counts.values(), default=LEAST_LABELS / FRACTIONS[0])
    return next((fraction for fraction in FRACTIONS if fraction * smallest >= LEAST_LABELS), None)
