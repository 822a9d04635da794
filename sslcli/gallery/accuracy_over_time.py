"""What an encoder knows as its pretraining goes on: linear and kNN accuracy over epochs and minutes. Imports no torch."""

from __future__ import annotations

from matplotlib.figure import Figure

from sslcli.evaluation.protocols import usual
from sslcli.figures.curves import Measured, draw_accuracy_over_time
from sslcli.runs.run import Run


def epochs_of(record: Run) -> dict[float, float]:
    """The steps at which a run's epochs ended, and how many epochs that were; --max-steps may have cut the last one off."""
    if not record.history:
        return {}
    first = record.history[0]["step"] / min(1, record.epochs or 1)
    return {entry["step"]: entry["step"] / first for entry in record.history}


def figure_over_time(runs: list[Run], pretrain: Run) -> tuple[Figure, str] | None:
    """The figure and its description, where more than the last checkpoint was measured."""
    probes = [r for r in runs if r.protocol == usual().key and r.status == "finished" and r.label_fraction == 1]
    mine = [probe for probe in probes if probe.parent == pretrain.id]
    at = {pair: {p.at_epoch: p for p in mine if p.pair == pair} for pair in {p.pair: None for p in reversed(mine)}}
    pair = max(at, key=lambda pair: len(at[pair]), default=None)  # the most epochs; of equals the newest
    scratch = [probe.metrics["test_acc"] for probe in probes if probe.init == "scratch" and probe.pair == pair]
    epochs = epochs_of(pretrain)
    clock = {epochs[entry["step"]]: entry["seconds"] for entry in pretrain.history if "seconds" in entry}
    last = max(clock, default=0.0)
    accuracies = {epoch or last: probe.metrics["test_acc"] for epoch, probe in at.get(pair, {}).items()}
    linear = [Measured(epoch, clock[epoch], accuracies[epoch]) for epoch in sorted(accuracies) if epoch in clock]
    known = {epochs[entry["step"]]: entry["val/knn"] for entry in pretrain.history if "val/knn" in entry}
    knn = [Measured(epoch, clock[epoch], accuracy) for epoch, accuracy in known.items() if epoch in clock]
    if len(linear) < 2 and len(knn) < 2:
        return None
    figure = draw_accuracy_over_time(
        linear, knn, scratch=scratch[-1] if scratch else None, machine=pretrain.device or "",
        title=f"Accuracy over time: {pretrain.backbone} on {pretrain.dataset}\n({pretrain.id})",
    )  # fmt: skip
    shown = ", ".join(f"epoch {m.epoch:g} ({m.seconds / 60:.1f} min) {m.accuracy:.4f}" for m in linear)
    return figure, f"Run: {pretrain.id}. Linear evaluation: {shown}"
