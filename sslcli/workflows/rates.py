"""Rates that a run chooses on validation images before its first step, once: a resume takes them from its record."""

from __future__ import annotations

from collections.abc import Callable

from sslcli.console.messages import say
from sslcli.errors import DivergedError
from sslcli.evaluation.protocols.protocol import Search
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Metrics, Progress, fit
from sslcli.training.step import Training


def rate_of(registry: Registry, run: Run, search: Search) -> float:
    """The rate on record; where there is none yet, the best that `search` finds, put on record.

    What the search yields is on record at once, so that a run that is stopped goes on with the next rate.
    """
    if "rate" not in run.choices:
        tried = run.choices.setdefault("tried", [])
        for found in search({float(trial["rate"]): float(trial["val_acc"]) for trial in tried}):
            tried += [{"rate": rate, "val_acc": accuracy} for rate, accuracy in found.items()]
            registry.save(run)
        in_order = sorted(tried, key=lambda trial: float(trial["rate"]))  # of equals the lowest
        run.choices["rate"] = max(in_order, key=lambda trial: float(trial["val_acc"]))["rate"]
        registry.save(run)
    return float(run.choices["rate"])


def trial_of(run: Run, training: Training, *, validate: Callable[[], Metrics], name: str, stop: Stop) -> float:
    """The validation accuracy of the best epoch of a training that keeps nothing, as an epoch is chosen; 0 if it diverges."""
    progress = Progress()
    log = Log(
        run.id, events=None, start=0, steps=training.steps, epoch_steps=training.epoch_steps, batch_size=training.batch_size,
        record_every=1,
    )  # fmt: skip
    try:
        fit(
            training.module, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at, steps=training.steps,
            epoch_steps=training.epoch_steps, seed=training.seed, progress=progress, log=log, stop=stop,
            save=lambda: None, evaluate=lambda _: validate(),
        )  # fmt: skip
        accuracy = max(epoch["val/acc"] for epoch in progress.history)
    except DivergedError:
        accuracy = 0.0
    say(f"{run.id}: {name}: validation accuracy {accuracy:.2%}")
    return accuracy
