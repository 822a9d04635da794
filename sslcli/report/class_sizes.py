"""What uneven classes mean for the page: what the largest one alone would reach, and how few labels there can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sslcli.comparison.differences import folds_of
from sslcli.data.split import LEAST_LABELS
from sslcli.errors import StateError
from sslcli.evaluation.naming import in_words
from sslcli.evaluation.test_logits import FILE, IN_FOLDS, Kept, read_kept
from sslcli.report.counts import picture_lines
from sslcli.report.tables import Cell, Table
from sslcli.report.tested import tested_by
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

UNEVEN = 1.5  # times an equal share of the test images; from there on the page says what the largest class alone would reach
FRACTIONS = (0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Unevenness:
    """What the largest class alone would reach, in a sentence, and each encoder's mean over classes, as a table."""

    sentence: str
    means: Table


def uneven(registry: Registry, runs: Sequence[Run], names: Mapping[str, str]) -> list[Unevenness]:
    """What to say of each data set where one class has many more tested images than others and logits are saved.

    `names` are the encoders' names by init.
    """
    of_dataset: dict[str | None, list[tuple[Run, Kept]]] = {}
    for run in runs:
        if (kept := kept_of(registry, run)) is not None:
            of_dataset.setdefault(run.dataset, []).append((run, kept))
    found = (
        _of_dataset(registry, known, names, of=f" of {dataset}" if len(of_dataset) > 1 else "")
        for dataset, known in of_dataset.items()
    )
    return [unevenness for unevenness in found if unevenness is not None]


def _of_dataset(
    registry: Registry, known: Sequence[tuple[Run, Kept]], names: Mapping[str, str], *, of: str
) -> Unevenness | None:
    classes = record_or_index(registry, known[0][0]).data.get("classes") or []
    known = [(run, kept) for run, kept in known if kept.logits.shape[1] == len(classes)]
    shares = {tested_by(run): np.bincount(kept.labels, minlength=len(classes)) / len(kept.labels) for run, kept in known}
    if not classes or max(share.max() for share in shares.values()) * len(classes) < UNEVEN:
        return None
    largest = int(next(iter(shares.values())).argmax())
    always = " and ".join(f"{share[largest]:.1%} of the {where}" for where, share in shares.items())
    return Unevenness(
        f"The classes{of} are uneven: always naming the largest, “{classes[largest]}”, would be right for {always}. "
        "So here is also the mean of the classes' accuracies, in which a small class counts as much as a large one.",
        _by_evaluation(known, names, of=of),
    )


def _by_evaluation(known: Sequence[tuple[Run, Kept]], names: Mapping[str, str], *, of: str) -> Table:
    """A row for each encoder and seed, a column for each evaluation: the mean of the classes' accuracies."""
    means: dict[str, dict[str, float]] = {}
    columns: dict[str, None] = {}
    several = len({run.encoder_method for run, _ in known} - {None}) > 1
    for run, kept in known:
        place = f"{in_words(run.experiment, run.label_fraction, run.at_epoch, run.protocol)}, {tested_by(run)}"
        columns[place] = None
        name = _name(run, names, several=several)
        if place in means.get(name, {}):
            name = f"{name}, {run.id}"  # another setting
        means.setdefault(name, {})[place] = _over_classes(kept)
    rows = [
        [
            Cell(name, head=True),
            *(Cell(f"{100 * of[place]:.1f}", of[place], kind="number") if place in of else Cell("–") for place in columns),
        ]
        for name, of in means.items()
    ]
    return Table(
        f"Mean of the accuracies of the classes{of} (%)", [("encoder", False), *((place, True) for place in columns)], rows
    )


def kept_of(registry: Registry, run: Run) -> Kept | None:
    """The logits of the images whose accuracy a run made here gives, in folds or of the test; None if they are not there."""
    try:
        return read_kept(registry.path(f"{run.folder}/{FILE if folds_of(run) is None else IN_FOLDS}"))
    except StateError:
        return None


def _over_classes(kept: Kept) -> float:
    return float(np.mean([kept.right[kept.labels == label].mean() for label in np.unique(kept.labels)]))


def _name(run: Run, names: Mapping[str, str], *, several: bool) -> str:
    method = f" ({run.encoder_method})" if several and run.encoder_method else ""
    seed = f", seed {run.seed}" if run.seed not in (None, 1) else ""
    return f"{names.get(run.init or '', run.init)}{method}{seed}"


def possible_fraction(registry: Registry, runs: Iterable[Run]) -> float | None:
    """The smallest of FRACTIONS that leaves each class enough labels; None if none does. The smallest, if nothing is known."""
    counts: Counter[str] = Counter()
    for run in runs:
        if lines := picture_lines(registry, run):
            counts = Counter(line.label for line in lines if line.label and line.part != "test")
            break
    smallest = min(counts.values(), default=LEAST_LABELS / FRACTIONS[0])
    return next((fraction for fraction in FRACTIONS if fraction * smallest >= LEAST_LABELS), None)
