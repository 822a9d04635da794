"""The short trainings by which fine-tuning may choose its rate."""

from __future__ import annotations

import math

from sslcli.options.finetune import Finetune
from sslcli.plans.schedule import default_rate

FACTORS = (0.1, 0.3, 1.0, 3.0)
"""The rates that --search-lr tries, as parts of the default rate, from low to high."""
SHARE = 5
"""A trial of --search-lr takes one epoch for so many of the training's."""


def trial_rates(options: Finetune) -> list[float]:
    """The rates that --search-lr tries, from low to high: the same for every init."""
    middle = default_rate(options.optimizer, options.batch_size, options.epochs)
    return [factor * middle for factor in FACTORS]


def trial_options(options: Finetune, *, rate: float) -> Finetune:
    """The recipe of one trial: the training's own at this rate, its schedule run to its end in a share of the epochs."""
    epochs = math.ceil(options.epochs / SHARE)
    steps = None if options.max_steps is None else math.ceil(options.max_steps / SHARE)
    warmup = (options.warmup_epochs or 0.0) * epochs / options.epochs
    changes = {"lr": rate, "search_lr": False, "epochs": epochs, "max_steps": steps, "warmup_epochs": warmup}
    return options.because("a trial of --search-lr", **changes)
