"""ssl pretrain --minutes: time a few steps to find what fits into the minutes here."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from sslcli.bench.cost import Costs
from sslcli.bench.timing import rough_seconds
from sslcli.console.messages import say
from sslcli.console.progress import about, duration
from sslcli.data import FOLDER
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
"""The best options for short pretrainings of CIFAR-10, by validation accuracy (results/speedrun.md); methods have more."""
SETTLED = (*RECIPE, "backbone", "stem", "epochs", "max_steps", "view_sizes", "knn_every")
"""The options that `settle_minutes` may set, besides those of the method."""
SMALL_NETS = (("resnet9-large", 1_200_000), ("resnet9-wide", 300_000), ("resnet9", 0))
"""For images below LARGE on a CPU, take the first encoder that can see this number of images within the minutes.

The numbers follow the budgets of the speedruns; they were not tuned.
"""
SHARES = ((0.5, 0.375), (0.75, 0.5), (1.0, 0.125))
"""The sides of the views relative to the image, and their fractions of training: small views teach most per second."""
FEW = 100_000  # images; if no more are seen, all views have half the side
LOOKS = 4  # measurements of kNN accuracy and health
QUICK_SIDES = (64, 32)  # pixels; below LARGE, where a quick encoder is taken
PATIENCE = (0.6, 0.02, 3.0)  # repeats of one timing: least seconds, fraction of the minutes, most seconds
LONG = 2 * 3600  # seconds; before a longer pretraining on a CPU a message tells its time
NEVER_LONG = 10_000  # images; no network takes LONG for this few


def recipe_of(method: MethodFile) -> dict[str, Any]:
    """RECIPE, and the method's own best options for short trainings."""
    return RECIPE | dict(method.in_minutes)


def settled_of(method: MethodFile) -> tuple[str, ...]:
    """The options that `settle_minutes` may set, with this method."""
    return (*SETTLED, *method.in_minutes)


def settle_minutes(command: Pretrain, options: Pretrain, context: Context) -> Pretrain:
    """Time a few steps, and set the options that fit into `--minutes`; the run can be repeated with them, without it.

    Epochs and steps follow from the time of a step here. Encoder, sides of the views and RECIPE are set only if the `command`
    did not choose them; `options` are its options so far. With several processes each times its part, and all take the
    values of the first. A UsageError if epochs or steps were chosen too, or the minutes are too few.
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
    """The options with the largest network that sees enough images within the budget, and about how many it sees."""
    for net, enough in _nets(command, options, context):
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


def _nets(command: Pretrain, options: Pretrain, context: Context) -> tuple[tuple[str, int], ...]:
    """Encoders to try, each with the images that it has to see; a method that takes only some gets the first of these."""
    if any(map(command.was_chosen, ("backbone", "stem", "init"))):
        return ((options.backbone, 0),)
    if own := options.file.backbones:
        return ((own[0], 0),)
    small = context.device.type == "cpu" and context.data.image_size < LARGE
    return SMALL_NETS if small else ((options.backbone, 0),)


def sides_of_views(options: Pretrain, size: int, seen: float) -> str:
    """The plan of the views' sides: multiples of 8 that the encoder accepts."""
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
    """The value of the first process, on all processes."""
    return on_first(lambda: value)


def _with_steps(command: Pretrain, options: Pretrain, context: Context, budget: float, origin: str) -> Pretrain:
    """The options with the epochs and steps that fit into the budget together with measuring and saving."""
    least, share, most = PATIENCE
    costs = Costs(budget=min(max(least, share * budget), most))
    cost = _of_first(costs.of(Plan(resolve(options, context), context, "pretrain")))
    a_step, measuring, saving = cost.expected["steps"] / cost.steps, cost.expected["measuring"], cost.expected["checkpoints"]
    steps, knn_every = 0, options.knn_every
    for _ in range(3):  # steps and measurements depend on each other a little
        epochs = max(1, math.ceil(steps / cost.epoch_steps))
        if not command.was_chosen("knn_every"):
            knn_every = max(1, math.ceil(epochs / LOOKS)) if LOOKS * measuring < budget / 10 else epochs
        looking = options.because(origin, knn_every=knn_every)
        measured = sum(is_measured(epoch, looking, of=epochs) for epoch in range(1, epochs + 1))
        steps = int((budget - measured * measuring - saving) / a_step)
    if steps < 10:
        few = (10 * a_step + measuring + saving) / 60
        raise UsageError(
            f"{origin}: ten steps and the measurements take {about(few)} minutes here; accepted is more than that"
            f"{_smaller_pictures(options, context.data.image_size)}"
        )
    smaller = _smaller_pictures(options, context.data.image_size)
    if smaller and steps < cost.epoch_steps:
        say(
            f"{origin}: only {steps} steps of {options.batch_size} images fit here, less than one pass over the "
            f"{len(context.data.train_images):,} pictures; take more minutes{smaller}"
        )
    epochs = math.ceil(steps / cost.epoch_steps)
    whole = steps == epochs * cost.epoch_steps
    return options.because(origin, epochs=epochs, max_steps=None if whole else steps, knn_every=knn_every)


def _smaller_pictures(options: Pretrain, size: int) -> str:
    """The advice to take smaller pictures, if those of a folder are large; "" if that cannot help."""
    side = next((side for side in QUICK_SIDES if side < size), None)
    if side is None or not options.dataset.startswith(FOLDER):
        return ""
    return f", or smaller pictures: they are {size} pixels; type the command again with --image-size {side}"


def tell_of_hours(registry: Registry, run: Run, options: Pretrain, context: Context) -> None:
    """Before a pretraining of over two hours on a CPU, print its expected time and a command for an earlier result."""
    steps = total_steps(options, max(1, len(context.data.train_images) // options.batch_size))
    if context.device.type != "cpu" or world() > 1 or steps * options.batch_size < NEVER_LONG:
        return
    seconds = rough_seconds(training_of(options, context)[1])
    if seconds > LONG:
        sooner = recorded_command(registry, run, "--minutes 15", without=("--epochs", "--max-steps", "--run"))
        say(
            f"{run.id}: this will take about {duration(seconds)} on this CPU, measured on two small steps; for a result "
            f"sooner, press Ctrl-C and type: {sooner}"
        )
