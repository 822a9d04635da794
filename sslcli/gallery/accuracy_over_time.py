"""What an encoder knows as its pretraining goes on: linear and kNN accuracy over epochs and minutes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from sslcli.evaluation.protocols import usual
from sslcli.figures.over_time import Accuracies, Measured, draw_over_time
from sslcli.runs.run import Run


def epochs_of(record: Run) -> dict[float, float]:
    """The steps at which a run's epochs ended, and how many epochs that were; --max-steps may have cut the last one off."""
    if not record.history:
        return {}
    first = record.history[0]["step"] / min(1, record.epochs or 1)
    return {entry["step"]: entry["step"] / first for entry in record.history}


def figure_over_time(runs: Sequence[Run], pretrain: Run, record_of: Callable[[Run], Run]) -> tuple[Figure, str] | None:
    """The figure and its description, where more than the last checkpoint of a seed was measured.

    `pretrain` is a pretraining with its record; the others of its study that differ in their seed alone are drawn with it, each
    by what was measured of itself. `record_of` reads a run's record.
    """
    others = [run for run in runs if run.experiment == "pretrain" and run.id != pretrain.id and _alike(run, pretrain)]
    records = sorted([*(record_of(run) for run in others), pretrain], key=lambda record: record.seed or 0)
    probes = [r for r in runs if r.protocol == usual().key and r.status == "finished" and r.label_fraction == 1]
    setup = _most_measured(probes, records)
    mine = [probe for probe in probes if (probe.setup or probe.pair) == setup]
    linear = [_linear(mine, record) for record in records]
    knn = [_knn(record) for record in records]
    if all(len(seed) < 2 for seed in (*linear, *knn)):
        return None
    scratch = [probe for probe in mine if probe.init == "scratch"]
    started = [_started(seed, scratch, record) for seed, record in zip(linear, records, strict=True)]
    figure = draw_over_time(
        [Measured("linear evaluation", [seed for seed in started if seed], 0),
         Measured("kNN on held-out labels", [seed for seed in knn if seed], 2)],
        clock=_clock(pretrain), lines=_lines(runs, scratch, pretrain), machine=pretrain.device or "",
        title=f"Accuracy over time: {pretrain.backbone} on {pretrain.dataset}",
    )  # fmt: skip
    return figure, f"Runs: {'; '.join(map(_described, records, linear))}"


def _alike(run: Run, pretrain: Run) -> bool:
    """Whether two pretrainings of a study differ in their seed alone."""
    return bool(pretrain.setup) and (run.study, run.setup, run.status) == (pretrain.study, pretrain.setup, pretrain.status)


def _most_measured(probes: Sequence[Run], records: Sequence[Run]) -> str | None:
    """The setup of the probes that measured most epochs of one seed; of equals the newest."""
    epochs: dict[tuple[str | None, str | None], set[int | None]] = {}
    for probe in reversed(probes):
        if probe.parent in {record.id for record in records}:
            epochs.setdefault((probe.setup or probe.pair, probe.parent), set()).add(probe.at_epoch)
    return max(epochs, key=lambda key: len(epochs[key]), default=(None, None))[0]


def _clock(record: Run) -> dict[float, float]:
    """The seconds of a pretraining after each of its epochs, where they are on record."""
    epochs = epochs_of(record)
    return {epochs[entry["step"]]: entry["seconds"] for entry in record.history if "seconds" in entry}


def _linear(probes: Sequence[Run], record: Run) -> dict[float, float]:
    """The accuracies of the encoder of one pretraining; of an epoch that was measured twice the newest."""
    clock = _clock(record)
    last = max(clock, default=0.0)
    measured = {float(p.at_epoch or last): p.metrics["test_acc"] for p in probes if p.parent == record.id}
    return {epoch: measured[epoch] for epoch in sorted(measured) if epoch in clock}


def _knn(record: Run) -> dict[float, float]:
    epochs, clock = epochs_of(record), _clock(record)
    known = {epochs[entry["step"]]: entry["val/knn"] for entry in record.history if "val/knn" in entry}
    return {epoch: accuracy for epoch, accuracy in known.items() if epoch in clock}


def _started(measured: Accuracies, scratch: Sequence[Run], record: Run) -> Accuracies:
    """With what the same seed's encoder knew before the first step, where later epochs were measured too."""
    own = [probe.metrics["test_acc"] for probe in scratch if probe.seed == record.seed]
    return {0.0: own[-1], **measured} if own and len(measured) > 1 else measured


def _lines(runs: Sequence[Run], scratch: Sequence[Run], pretrain: Run) -> list[tuple[float, str]]:
    """The accuracy from scratch, the mean of its seeds, and published ones of no seed on the same data."""
    newest = {probe.seed: probe.metrics["test_acc"] for probe in scratch}
    lines = [(fmean(newest.values()), f"scratch {100 * fmean(newest.values()):.2f} %")] if newest else []
    published = [
        run for run in runs
        if (run.status, run.protocol, run.init, run.seed) == ("published", usual().key, "pretrained", None)
        and run.dataset == pretrain.dataset and run.study != pretrain.study and "best_test_acc" in run.metrics
    ]  # fmt: skip
    figures = [(run.study, run.metrics["best_test_acc"]) for run in published]
    return lines + [(figure, f"{study} {100 * figure:.2f} % (best on test)") for study, figure in figures]


def _described(record: Run, linear: Accuracies) -> str:
    clock = _clock(record)
    shown = ", ".join(f"epoch {epoch:g} ({clock[epoch] / 60:.1f} min) {linear[epoch]:.4f}" for epoch in linear)
    return f"{record.id}, linear evaluation: {shown or 'not measured'}"
