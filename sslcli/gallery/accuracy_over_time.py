"""Linear and kNN accuracy of an encoder over the epochs and minutes of its pretraining. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from sslcli.evaluation.protocols import usual
from sslcli.figures.over_time import Accuracies, Measured, draw_over_time
from sslcli.runs.run import Run


def epochs_of(record: Run) -> dict[float, float]:
    """From the step at the end of each epoch of a run to its number of epochs; --max-steps can cut the last one short."""
    if not record.history:
        return {}
    first = record.history[0]["step"] / min(1, record.epochs or 1)
    return {entry["step"]: entry["step"] / first for entry in record.history}


def figure_over_time(runs: Sequence[Run], pretrain: Run, record_of: Callable[[Run], Run]) -> tuple[Figure, str] | None:
    """The figure and its description; None unless several checkpoints of one seed were measured.

    `pretrain` is the record of a pretraining. Pretrainings of its study that differ only in the seed are drawn too, each with
    its own measurements. `record_of` reads a run's record.
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
    """Whether two pretrainings of a study differ only in the seed."""
    return bool(pretrain.setup) and (run.study, run.setup, run.status) == (pretrain.study, pretrain.setup, pretrain.status)


def _most_measured(probes: Sequence[Run], records: Sequence[Run]) -> str | None:
    """The setup of the probes that measured the most epochs of one seed; of equal ones, the newest."""
    epochs: dict[tuple[str | None, str | None], set[int | None]] = {}
    for probe in reversed(probes):
        if probe.parent in {record.id for record in records}:
            epochs.setdefault((probe.setup or probe.pair, probe.parent), set()).add(probe.at_epoch)
    return max(epochs, key=lambda key: len(epochs[key]), default=(None, None))[0]


def _clock(record: Run) -> dict[float, float]:
    """The recorded seconds of a pretraining after each of its epochs."""
    epochs = epochs_of(record)
    return {epochs[entry["step"]]: entry["seconds"] for entry in record.history if "seconds" in entry}


def _linear(probes: Sequence[Run], record: Run) -> dict[float, float]:
    """The accuracies of one pretraining's encoder by epoch; the newest, if an epoch was measured twice."""
    clock = _clock(record)
    last = max(clock, default=0.0)
    measured = {float(p.at_epoch or last): p.metrics["test_acc"] for p in probes if p.parent == record.id}
    return {epoch: measured[epoch] for epoch in sorted(measured) if epoch in clock}


def _knn(record: Run) -> dict[float, float]:
    epochs, clock = epochs_of(record), _clock(record)
    known = {epochs[entry["step"]]: entry["val/knn"] for entry in record.history if "val/knn" in entry}
    return {epoch: accuracy for epoch, accuracy in known.items() if epoch in clock}


def _started(measured: Accuracies, scratch: Sequence[Run], record: Run) -> Accuracies:
    """The accuracies with that of the same seed's scratch encoder at epoch 0, if several epochs were measured."""
    own = [probe.metrics["test_acc"] for probe in scratch if probe.seed == record.seed]
    return {0.0: own[-1], **measured} if own and len(measured) > 1 else measured


def _lines(runs: Sequence[Run], scratch: Sequence[Run], pretrain: Run) -> list[tuple[float, str]]:
    """The accuracy from scratch, as the mean over seeds, and published accuracies without a seed on the same data."""
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
