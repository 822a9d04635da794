"""Fine-tuning: encoder and classifier are trained end to end."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from typer import Option

from sslcli.errors import UsageError
from sslcli.evaluation.protocols.protocol import Outcome, Pace, Protocol, Start, Steps
from sslcli.training.recipe import (
    TRAINING,
    VIEWS,
    BatchSize,
    Flip,
    Lr,
    MaxSteps,
    Momentum,
    Optimizer,
    Warmup,
    WeightDecay,
    default_rate,
    defaults_of_open,
    total_steps,
)

if TYPE_CHECKING:
    from sslcli.models.classifier import Classifier
    from sslcli.training.loop import Metrics
    from sslcli.training.step import Training

FACTORS = (0.1, 0.3, 1.0, 3.0)
"""The rates that --search-lr tries, relative to the default rate, from low to high."""
SHARE = 5
"""A trial of --search-lr has one epoch for every SHARE epochs of the training."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How encoder and classifier are trained."""

    epochs: Annotated[int, Option(min=1, help="Passes over the labelled training images.", rich_help_panel=TRAINING)] = 10
    batch_size: BatchSize = 128
    optimizer: Optimizer = "sgd"
    lr: Lr = None
    search_lr: Annotated[
        bool,
        Option(
            "--search-lr",
            help="Choose --lr on validation images: short trainings at 0.1, 0.3, 1 and 3 times the default.",
            rich_help_panel=TRAINING,
        ),
    ] = False
    weight_decay: WeightDecay = None
    momentum: Momentum = 0.9
    warmup_epochs: Warmup = None
    max_steps: MaxSteps = None
    crop_min: Annotated[
        float, Option(min=0.01, max=1, help="Smallest crop, as a fraction of the image's area.", rich_help_panel=VIEWS)
    ] = 0.6
    flip: Flip = 0.5

    def __post_init__(self) -> None:
        if self.search_lr and self.lr is not None:
            raise UsageError(f"--lr {self.lr:g} with --search-lr: accepted is one of them; leave the other out")


def settle(options: Options) -> dict[str, float]:
    """Defaults for rate, weight decay and warm-up if they are None; with --search-lr the rate stays None."""
    filled = defaults_of_open(options)
    return {name: value for name, value in filled.items() if not (name == "lr" and options.search_lr)}


def evaluate(start: Start, options: Options, steps: Steps) -> Outcome:
    """With --search-lr choose the rate, then train; the validation images choose the epoch."""
    from sslcli.data.on_disk import chosen
    from sslcli.evaluation.end_to_end import end_to_end_training
    from sslcli.evaluation.features import outputs
    from sslcli.evaluation.metrics import score

    context, data = start.context, start.context.data
    val_rows = start.parts.val.to(context.device)
    see = partial(outputs, normalise=data.normalise, autocast=context.autocast)

    def validate(model: Classifier) -> Metrics:
        return score(see(model, chosen(data.train_images, val_rows)), data.train_labels[val_rows], prefix="val")

    def measure(_: int) -> Metrics:
        return validate(model) | score(see(model, data.test_images), data.test_labels, prefix="test")

    figures = {}
    if options.search_lr:
        rate = steps.rate_of(partial(_search, start, options, steps, validate))
        options, figures = replace(options, lr=rate, search_lr=False), {"rate": rate}
    model, own_training = end_to_end_training(start, options)
    progress = steps.train(own_training, evaluate=measure)
    model.load_state_dict(progress.best["weights"])
    return Outcome(model, see(model, data.test_images), progress, figures)


def _search(
    start: Start,
    options: Options,
    steps: Steps,
    validate: Callable[[Classifier], Metrics],
    tried: Mapping[float, float],
) -> Iterator[dict[float, float]]:
    """The validation accuracy of each rate not tried yet. Every trial starts from the same encoder and seed."""
    from sslcli.evaluation.end_to_end import end_to_end_training

    rates = trial_rates(options)
    for number, rate in enumerate(rates, 1):
        if rate not in tried:
            again = replace(start, encoder=copy.deepcopy(start.encoder))
            model, training = end_to_end_training(again, trial_options(options, rate=rate))
            name = f"trial {number} of {len(rates)}, rate {rate:.3g}"
            yield {rate: steps.trial(training, validate=partial(validate, model), name=name)}


def trial_rates(options: Options) -> list[float]:
    """The rates that --search-lr tries, from low to high; they are the same for every init."""
    middle = default_rate(options.optimizer, options.batch_size, options.epochs)
    return [factor * middle for factor in FACTORS]


def trial_options(options: Options, *, rate: float) -> Options:
    """The options of one trial: those of the training, with this rate and the whole schedule in 1/SHARE of the epochs."""
    epochs = math.ceil(options.epochs / SHARE)
    steps = None if options.max_steps is None else math.ceil(options.max_steps / SHARE)
    warmup = (options.warmup_epochs or 0.0) * epochs / options.epochs
    return replace(options, lr=rate, search_lr=False, epochs=epochs, max_steps=steps, warmup_epochs=warmup)


def training(start: Start, options: Options) -> Training:
    """The training with the rate of the options."""
    from sslcli.evaluation.end_to_end import end_to_end_training

    return end_to_end_training(start, options)[1]


def seconds(start: Start, options: Options, pace: Pace) -> dict[str, float]:
    """Seconds for measuring validation and test images after each epoch, and for the trials."""
    from sslcli.evaluation.end_to_end import batches_of

    epoch_steps = batches_of(len(start.parts.train), options, seed=start.seed).epoch_steps
    epochs = math.ceil(total_steps(options, epoch_steps) / epoch_steps)
    val, test = len(start.parts.val), len(start.context.data.test_images)
    found = {"measuring": (epochs * (val + test) + test) * pace.image}
    if options.search_lr:
        steps = total_steps(trial_options(options, rate=0.0), epoch_steps)
        a_trial = steps * pace.step + math.ceil(steps / epoch_steps) * val * pace.image
        found["choosing the rate"] = len(FACTORS) * a_trial
    return found


PROTOCOL = Protocol(
    key="finetune", name="fine-tuning", experiment="finetune", frozen=False, in_folds=False,
    meaning="Encoder and classifier are trained end to end.",
    limits="With many labels this can make up for a random start.",
    options=Options, settle=settle, evaluate=evaluate, training=training, seconds=seconds,
)  # fmt: skip
