"""The rate that a run chooses once, on validation images, before its first step; a resume reads it from the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslcli.console.messages import say
from sslcli.errors import DivergedError
from sslcli.evaluation.protocols.protocol import Search
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Metrics, Progress, take_steps
from sslcli.training.step import Training


def rate_of(registry: Registry, run: Run, search: Search) -> float:
    """The recorded rate; if there is none yet, the best that `search` finds, which is recorded.

    Each result of the search is recorded at once, so that a stopped run continues with the next rate.
    """
    if "rate" not in run.choices:
        tried = run.choices.setdefault("tried", [])
        for found in search({float(trial["rate"]): float(trial["val_acc"]) for trial in tried}):
            tried += [{"rate": rate, "val_acc": accuracy} for rate, accuracy in found.items()]
            registry.save(run)
        run.choices["rate"] = best_rate({float(trial["rate"]): float(trial["val_acc"]) for trial in tried})
        registry.save(run)
    return float(run.choices["rate"])


def best_rate(tried: Mapping[float, float]) -> float:
    """The rate with the best validation accuracy; of equal ones, the lowest."""
    return max(sorted(tried), key=lambda rate: tried[rate])


def trial_of(run: Run, training: Training, *, validate: Callable[[], Metrics], name: str, stop: Stop) -> float:
    """The best validation accuracy over the epochs of a training that saves nothing; 0 if it diverges."""
    try:
        progress = trained(training, title=run.id, evaluate=lambda _: validate(), stop=stop)
        accuracy = max(epoch["val/acc"] for epoch in progress.history)
    except DivergedError:
        accuracy = 0.0
    say(f"{run.id}: {name}: validation accuracy {accuracy:.2%}")
    return accuracy


def trained(training: Training, *, title: str, evaluate: Callable[[int], Metrics], stop: Stop) -> Progress:
    """The progress of a whole training that saves and shows nothing; `evaluate` as in `take_steps`."""
    progress = Progress()
    log = Log(
        title, events=None, start=0, steps=training.steps, epoch_steps=training.epoch_steps, per_step=training.per_step,
        record_every=1,
    )  # fmt: skip
    take_steps(
        training.module, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at, steps=training.steps,
        epoch_steps=training.epoch_steps, seed=training.seed, progress=progress, log=log, stop=stop,
        save=lambda: None, evaluate=evaluate,
    )  # fmt: skip
    return progress
