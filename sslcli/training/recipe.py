"""The recipe of a training: its options with their help, and the steps and rates that they give. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from typer import Option

TRAINING, VIEWS = "Training", "Views"
BatchSize = Annotated[int, Option(min=2, help="Images per step, summed over devices.", rich_help_panel=TRAINING)]
Optimizer = Annotated[Literal["sgd", "adamw", "muon"], Option(help="Optimizer.", rich_help_panel=TRAINING)]
Lr = Annotated[
    float | None,
    Option(min=0, help="Peak learning rate. Default: depends on optimizer and batch size.", rich_help_panel=TRAINING),
]
WeightDecay = Annotated[
    float | None,
    Option(min=0, help="Weight decay, none on biases and norms. Default: depends on the optimizer.", rich_help_panel=TRAINING),
]
Momentum = Annotated[float, Option(min=0, max=0.9999, help="Momentum of SGD and Muon.", rich_help_panel=TRAINING)]
Warmup = Annotated[
    float | None,
    Option(min=0, help="Epochs of linear warm-up. Default: a twentieth of --epochs, at most 10.", rich_help_panel=TRAINING),
]
MaxSteps = Annotated[int | None, Option(min=1, help="Stop after this many steps, for a trial.", rich_help_panel=TRAINING)]
Flip = Annotated[float, Option(min=0, max=1, help="Probability of a horizontal flip.", rich_help_panel=VIEWS)]


class Recipe(Protocol):
    """Options that include a recipe. None stands for a value that is not set yet."""

    @property
    def epochs(self) -> int:
        """Passes over the training images."""

    @property
    def batch_size(self) -> int:
        """Images per step, over all devices."""

    @property
    def optimizer(self) -> str:
        """sgd, adamw or muon."""

    @property
    def lr(self) -> float | None:
        """The peak learning rate."""

    @property
    def weight_decay(self) -> float | None:
        """The weight decay."""

    @property
    def momentum(self) -> float:
        """The momentum of SGD and Muon."""

    @property
    def warmup_epochs(self) -> float | None:
        """Epochs until the rate reaches its peak."""

    @property
    def max_steps(self) -> int | None:
        """The largest number of steps; the training ends then, whatever its epochs."""


def default_rate(optimizer: str, batch_size: int, epochs: int) -> float:
    """The default peak rate: linear in the batch size for SGD (Goyal et al. 2017), with its square root for AdamW."""
    if optimizer == "sgd":
        return (0.06 if epochs < 400 else 0.03) * batch_size / 256
    return 0.06 if optimizer == "muon" else 0.001 * float(batch_size / 256) ** 0.5


def defaults_of_open(recipe: Recipe) -> dict[str, float]:
    """Defaults for rate, weight decay and warm-up, for those that are None."""
    filled = {
        "lr": default_rate(recipe.optimizer, recipe.batch_size, recipe.epochs),
        # Muon's steps have a fixed size: without decay the weights grow sevenfold in pretraining, and fine-tuning at the
        # same rate then moves them seven times less than scratch (77.7 against 95.6 % on shapes; with it 98.4 at rate 0.15).
        "weight_decay": {"sgd": 5e-4, "adamw": 0.05, "muon": 0.06}[recipe.optimizer],
        "warmup_epochs": min(10, recipe.epochs / 20),
    }
    given = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "warmup_epochs": recipe.warmup_epochs}
    return {name: value for name, value in filled.items() if given[name] is None}


def total_steps(recipe: Recipe, epoch_steps: int) -> int:
    """The number of optimizer steps of a training."""
    steps = recipe.epochs * epoch_steps
    return min(steps, recipe.max_steps or steps)


def rate_schedule(recipe: Recipe, steps: int, epoch_steps: int) -> Callable[[int], float]:
    """The function from a step to its rate: warm-up, then a cosine."""
    lr, warmup = recipe.lr or 0.0, round((recipe.warmup_epochs or 0.0) * epoch_steps)
    return lambda step: warmup_cosine(step, steps=steps, warmup=warmup, lr=lr)


def warmup_cosine(step: int, *, steps: int, warmup: int, lr: float) -> float:
    """The rate at `step`: linear from 0 over `warmup` steps, then half a cosine to 0 at `steps` (SGDR, 1608.03983)."""
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
