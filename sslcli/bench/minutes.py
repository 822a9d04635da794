"""Pretraining that takes so many minutes here: what fits is found by timing a few steps."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from sslcli.bench.cost import Costs
from sslcli.bench.timing import rough_seconds
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.distributed import on_first, world
from sslcli.errors import UsageError
from sslcli.methods import MethodFile
from sslcli.models import default_stem
from sslcli.models.encoder import hold_to_side
from sslcli.options.pretrain import Pretrain
from sslcli.plans.online_metrics import is_measured
from sslcli.plans.plan import Plan
from sslcli.plans.pretraining import resolve, training_of
from sslcli.plans.views import LARGE
from sslcli.runs.next_step import recorded_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.recipe import total_steps

T = TypeVar("T")

RECIPE: dict[str, Any] = {"optimizer": "muon", "momentum": 0.95, "batch_size": 256}
"""What short pretrainings of CIFAR-10 learned most with, by validation accuracy (results/speedrun.md); more in each method."""
SETTLED = (*RECIPE, "backbone", "stem", "epochs", "max_steps", "view_sizes", "knn_every")
"""The options that `fit_to_minutes` may settle, beside the method's own."""
SMALL_NETS = (("resnet9-large", 1_200_000), ("resnet9-wide", 300_000), ("resnet9", 0))
"""For images below LARGE on a CPU: the first of these encoders for which so many images fit into the minutes.

The numbers follow the budgets of the speedruns; they were not searched.
"""
SHARES = ((0.5, 0.375), (0.75, 0.5), (1.0, 0.125))
"""The sides of the views as parts of the image's, and for which part of training: most is learned on small ones."""
FEW = 100_000  # images; so few are all seen at half their side
LOOKS = 4  # times that kNN accuracy and health are measured
PATIENCE = (0.6, 0.02, 3.0)  # seconds for the repeats of one timing: at least, of the minutes, at most
LONG = 2 * 3600  # seconds; of a longer pretraining on a CPU the person is told before it begins
NEVER_LONG = 10_000  # images; to see so few takes no net LONG


def recipe_of(method: MethodFile) -> dict[str, Any]:
    """RECIPE, and the options of the method that short trainings learn most with."""
    return RECIPE | dict(method.in_minutes)


def settled_of(method: MethodFile) -> tuple[str, ...]:
    """The options that `fit_to_minutes` may settle with a method."""
    return (*SETTLED, *method.in_minutes)


def fit_to_minutes(command: Pretrain, options: Pretrain, context: Context) -> Pretrain:
    """Settle by a few timed steps what `--minutes` leaves open, as plain options: the run can be repeated without it.

    Epochs and steps follow from the time of a step here. The encoder, the sides of the views and RECIPE are settled only where
    the `command` does not choose them; `options` are what came of it. Of several processes each times its part, and all take
    what the first settles. A UsageError where epochs or steps were chosen too, or the minutes are too few.
    """
    for name in ("epochs", "max_steps"):
        if command.was_chosen(name):
            option = "--" + name.replace("_", "-")
            raise UsageError(f"--minutes with {option}: accepted is one of them; leave the other out")
    budget, origin = 60 * float(options.minutes or 0), f"--minutes {options.minutes:g}"
    images = len(context.data.train_images)
    recipe = recipe_of(options.file) | {"batch_size": min(RECIPE["batch_size"], images) // world() * world()}
    open_ones = {name: value for name, value in recipe.items() if not command.was_chosen(name)}
    options = options.because(origin, **open_ones)
    options, seen = _with_net(command, options, context, budget, origin)
    if not command.was_chosen("view_sizes"):
        options = options.because(origin, view_sizes=sides_of_views(options, context.data.image_size, seen))
    return _with_steps(command, options, context, budget, origin)


def _with_net(command: Pretrain, options: Pretrain, context: Context, budget: float, origin: str) -> tuple[Pretrain, float]:
    """The options with the largest net that sees enough images within the budget, and about how many those are."""
    small = context.device.type == "cpu" and context.data.image_size < LARGE
    chosen = any(map(command.was_chosen, ("backbone", "stem", "init")))
    nets = SMALL_NETS if small and not chosen else ((options.backbone, 0),)
    for net, enough in nets:
        tried = options
        if net != options.backbone:
            tried = options.because(origin, backbone=net, stem=default_stem(net, context.data.image_size))
        tried = tried.because(origin, epochs=1)
        _, training = training_of(resolve(tried, context), context)
        seen = (
            budget / _of_first(rough_seconds(training)) * training.epoch_steps * training.batch_size * 1.5
        )  # most views are smaller than the images
        if seen >= enough:
            break
    return tried, seen


def sides_of_views(options: Pretrain, size: int, seen: float) -> str:
    """The plan of the views' sides: multiples of 8 that the encoder takes."""
    sides = [max(8, round(size * part / 8) * 8) for part, _ in SHARES[:-1]]
    try:
        for side in sides:
            hold_to_side(options.backbone, stem=options.stem, side=side)
    except UsageError:
        return str(size)
    if size < 24 or sides[0] >= sides[1] or sides[1] >= size:
        return str(size)
    if seen < FEW:
        return str(sides[0])
    return ",".join(f"{side}:{share:g}" for side, (_, share) in zip([*sides, size], SHARES, strict=True))


def _of_first(value: T) -> T:
    """The first process's value, on all."""
    return on_first(lambda: value)


def _with_steps(command: Pretrain, options: Pretrain, context: Context, budget: float, origin: str) -> Pretrain:
    """The options with as many epochs and steps as fit into the budget with what is measured and saved on the way."""
    least, share, most = PATIENCE
    costs = Costs(budget=min(max(least, share * budget), most))
    cost = _of_first(costs.of(Plan(resolve(options, context), context, "pretrain")))
    a_step, measuring, saving = cost.expected["steps"] / cost.steps, cost.expected["measuring"], cost.expected["checkpoints"]
    steps, knn_every = 0, options.knn_every
    for _ in range(3):  # each part depends on the other a little
        epochs = max(1, math.ceil(steps / cost.epoch_steps))
        if not command.was_chosen("knn_every"):
            knn_every = max(1, math.ceil(epochs / LOOKS)) if LOOKS * measuring < budget / 10 else epochs
        looking = options.because(origin, knn_every=knn_every)
        measured = sum(is_measured(epoch, looking, of=epochs) for epoch in range(1, epochs + 1))
        steps = int((budget - measured * measuring - saving) / a_step)
    if steps < 10:
        few = (10 * a_step + measuring + saving) / 60
        raise UsageError(f"{origin}: ten steps and what is measured take {few:.2g} minutes here; accepted is more than that")
    epochs = math.ceil(steps / cost.epoch_steps)
    whole = steps == epochs * cost.epoch_steps
    return options.because(origin, epochs=epochs, max_steps=None if whole else steps, knn_every=knn_every)


def tell_of_hours(registry: Registry, run: Run, options: Pretrain, context: Context) -> None:
    """Say before a pretraining on a CPU that it takes more than two hours, if it does, and what to type for a result sooner."""
    steps = total_steps(options, max(1, len(context.data.train_images) // options.batch_size))
    if context.device.type != "cpu" or world() > 1 or steps * options.batch_size < NEVER_LONG:
        return
    seconds = rough_seconds(training_of(options, context)[1])
    if seconds > LONG:
        sooner = recorded_command(registry, run, "--minutes 15", without=("--epochs", "--max-steps", "--run"))
        say(
            f"{run.id}: this will take about {duration(seconds)} on this CPU, by two small steps; for a result sooner, press "
            f"Ctrl-C and type: {sooner}"
        )
