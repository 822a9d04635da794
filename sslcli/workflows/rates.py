"""Rates that a run chooses on validation images before its first step, once: a resume takes them from its record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from sslcli.console.messages import say
from sslcli.errors import DivergedError
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder
from sslcli.options.finetune import Finetune
from sslcli.plans.rate_trials import trial_options, trial_rates
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Metrics, Progress, fit
from sslcli.training.step import Training


def rate_of(registry: Registry, run: Run, search: Callable[[], Mapping[float, float]]) -> float:
    """The rate on record; where there is none yet, the best of `search`'s, rates to validation accuracies, put on record."""
    if "rate" not in run.choices:
        run.choices["tried"] = [{"rate": rate, "val_acc": accuracy} for rate, accuracy in search().items()]
        _take_best(registry, run)
    return float(run.choices["rate"])


def _take_best(registry: Registry, run: Run) -> None:
    """Put the rate of the highest validation accuracy on record; of equals the lowest."""
    tried = sorted(run.choices["tried"], key=lambda trial: float(trial["rate"]))
    run.choices["rate"] = max(tried, key=lambda trial: float(trial["val_acc"]))["rate"]
    registry.save(run)


def with_rate(
    registry: Registry,
    run: Run,
    options: Finetune,
    encoder: Encoder,
    *,
    training_of: Callable[[Encoder, Finetune], tuple[Classifier, Training]],
    validate: Callable[[Classifier], Metrics],
    stop: Stop,
) -> Finetune:
    """Fine-tuning's options with the rate that --search-lr finds; as they are without it.

    Every trial begins with the same encoder and seed, and is on record when it is done: a run that is stopped goes on with the
    next. `validate` gives val/acc and val/loss; nothing else is looked at.
    """
    if not options.search_lr:
        return options
    tried = run.choices.setdefault("tried", [])
    if "rate" not in run.choices:
        rates = trial_rates(options)
        for rate in rates[len(tried) :]:
            model, training = training_of(copy.deepcopy(encoder), trial_options(options, rate=rate))
            accuracy = _try(model, training, run=run, validate=validate, stop=stop)
            say(f"{run.id}: trial {len(tried) + 1} of {len(rates)}, rate {rate:.3g}: validation accuracy {accuracy:.2%}")
            tried.append({"rate": rate, "val_acc": accuracy})
            registry.save(run)
        _take_best(registry, run)
    return options.because("--search-lr", lr=float(run.choices["rate"]), search_lr=False)


def _try(model: Classifier, training: Training, *, run: Run, validate: Callable[[Classifier], Metrics], stop: Stop) -> float:
    """The validation accuracy of a trial's best epoch, as a training's epoch is chosen; 0 of one that diverges."""
    progress = Progress()
    log = Log(
        run.id, events=None, start=0, steps=training.steps, epoch_steps=training.epoch_steps, batch_size=training.batch_size,
        record_every=1,
    )  # fmt: skip
    try:
        fit(
            model, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at, steps=training.steps,
            epoch_steps=training.epoch_steps, seed=training.seed, progress=progress, log=log, stop=stop,
            save=lambda: None, evaluate=lambda _: validate(model),
        )  # fmt: skip
    except DivergedError:
        return 0.0
    return max(epoch["val/acc"] for epoch in progress.history)
