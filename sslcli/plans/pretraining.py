"""The plan of a pretraining: its options, its method, and everything that makes a step."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from sslcli.console.messages import say
from sslcli.data.batches import Batches, ahead, hand_over
from sslcli.data.image_data import pick
from sslcli.data.loading import load_data
from sslcli.data.on_disk import Stored
from sslcli.distributed import on_first, own_part, world
from sslcli.errors import UsageError
from sslcli.methods import MethodFile
from sslcli.methods.method import Batch as Seen
from sslcli.methods.method import Method
from sslcli.methods.outside import blaming, class_of
from sslcli.models.batch_norm import share_batch_norm
from sslcli.models.encoder import Encoder, build_encoder, hold_to_side
from sslcli.options.pretrain import Pretrain
from sslcli.plans.data_access import Load
from sslcli.plans.elsewhere import CONTINUED, with_network
from sslcli.plans.method_file import code_of
from sslcli.plans.plan import Plan
from sslcli.plans.settling import prepare
from sslcli.plans.views import side_of, view_maker, view_size_plan, with_strengths, work_of
from sslcli.plans.weights_file import take_stock
from sslcli.runs.choices import Choices
from sslcli.runs.naming import init_label, weights_path
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.capture import captured
from sslcli.training.checkpoint import encoder_in, load_checkpoint
from sslcli.training.context import Context
from sslcli.training.optim import optimizer_for
from sslcli.training.recipe import defaults_of_open, rate_schedule, total_steps
from sslcli.training.step import Batch, Loss, Training

SettleMinutes = Callable[[Pretrain, Pretrain, Context], Pretrain]
"""A function from the command, its options on these data, and the context to options that fit into --minutes."""


def plan(registry: Registry, command: Pretrain, *, settle_minutes: SettleMinutes, load: Load = load_data) -> Plan[Pretrain]:
    """Load the data and set every option; with --minutes, `settle_minutes` sets those that were not given."""
    command = with_network(registry, command)
    context, options = prepare(registry, command, load=load)
    origin = on_first(lambda: take_stock(options))
    choices: Choices = {}
    if options.minutes is not None:
        choices = {"minutes": options.minutes, "given": [name for name in command.options() if command.was_chosen(name)]}
        options = settle_minutes(command, options, context)
    resolved, init = resolve(options, context), init_label("", origin) or None
    code = code_of(resolved.file)
    return Plan(resolved, context, "pretrain", init=init, method=resolved.file.name, origin=origin, code=code, choices=choices)


def resolve(options: Pretrain, context: Context) -> Pretrain:
    """Set the options that depend on the data: the sizes of the views, then rate, weight decay and warm-up."""
    size = context.data.image_size
    options = with_strengths(options, size)
    if options.view_sizes == "auto":
        options = options.because(f"from the image size, {size}", view_sizes=str(size))
    parts = _parts_of_views(options.because("the views do not depend on it", seed=0))
    for side in {side_of(size, part) for size, _ in view_size_plan(options.view_sizes) for part in parts}:
        hold_to_side(options.backbone, stem=options.stem, side=side)
    if options.batch_size > (images := len(context.data.train_images)):
        raise UsageError(f"--batch-size {options.batch_size}: accepted is at most the {images} images of {options.dataset}")
    defaults, origin = defaults_of_open(options), "from optimizer, batch and epochs"
    if "lr" in defaults and weights_path(options.init) is not None:
        defaults["lr"] *= CONTINUED
    return options.because(origin, **defaults)


def training_of(
    options: Pretrain, context: Context, *, begin: Callable[[Encoder], None] = lambda _: None
) -> tuple[Method, Training]:
    """The method, and its training: everything that makes a step. `begin` may replace the encoder's random first weights."""
    images, device = context.data.train_images, context.device
    method = build_method(options, begin=begin).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    replayed = options.compile and world() == 1 and device.type == "cuda" and method.same_each_step
    if options.compile and world() == 1:
        method.compile(dynamic=False)  # once for each size of the views
    elif options.compile:
        say("ssl: --compile works with one process only; several processes continue without it")
    batches = Batches(len(images), options.batch_size, seed=options.seed, drop_last=True)
    steps = total_steps(options, batches.epoch_steps)

    def batch_at(step: int) -> Batch:
        """The images of a step, their rows, and (1,) the step itself."""
        rows = batches.at(step)
        own = rows[own_part(len(rows))]
        return pick(images, own, device), hand_over(own, device), torch.tensor([step])

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        _, rows, step = batch
        with context.autocast(), blaming(options.file):
            loss: Loss = method(Seen(views, rows), int(step))
        return loss

    training = Training(
        module=method, loss_of=loss_of,
        optimizer=optimizer_for(
            method, options, precision=options.precision, own=method.parameter_groups(), replayed=replayed
        ),
        batch_at=ahead(batch_at) if isinstance(images, Stored) else batch_at,
        views_of=view_maker(options, context, steps, views=method.views, replayed=replayed),
        before_step=method.before_step, after_step=method.after_step,
        lr_at=rate_schedule(options, steps, batches.epoch_steps), steps=steps, epoch_steps=batches.epoch_steps,
        batch_size=options.batch_size, per_step=batches.per_step, seed=options.seed,
        work_until=work_of(options.view_sizes, steps),
    )  # fmt: skip
    return method, captured(training) if replayed else training


def build_method(options: Pretrain, *, begin: Callable[[Encoder], None] = lambda _: None) -> Method:
    """The method with its encoder: random weights drawn from the seed, unless `begin` replaces those of the encoder."""
    if (accepted := options.file.backbones) and options.backbone not in accepted:
        raise UsageError(f"--method {options.method} with --backbone {options.backbone}: accepted are {', '.join(accepted)}")
    own_options, kind = _classes_of(options.file)
    own = own_options(**{option: getattr(options, option) for option in options.file.options})
    encoder = build_encoder(options.backbone, stem=options.stem, seed=options.seed)
    begin(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        with blaming(options.file):
            method = kind(encoder, own)
    share_batch_norm(method)
    return method


@lru_cache(maxsize=64)
def _parts_of_views(options: Pretrain) -> frozenset[float]:
    """The parts of the image size that the method's views have. To build the method takes long, and seeds share it."""
    return frozenset(spec.part for spec in build_method(options).views)


def _classes_of(file: MethodFile) -> tuple[Callable[..., object], Callable[[Encoder, object], Method]]:
    """The class of a method's options, and that of the method."""
    if file.source is not None:
        return class_of(file)
    path, _, name = file.path.partition(":")
    module = importlib.import_module(path)
    return module.Options, getattr(module, name)


def is_kept(epoch: int, options: Pretrain, steps: int, epoch_steps: int) -> bool:
    """Whether the checkpoint after an epoch is kept. That of the last epoch is last.pt."""
    return bool(options.keep_every) and epoch % options.keep_every == 0 and epoch * epoch_steps < steps


def kept_name(epoch: int) -> str:
    """The name of the checkpoint that is kept after an epoch."""
    return f"epoch-{epoch:04d}"


def kept_epochs(record: Run) -> list[int]:
    """The epochs whose checkpoints a pretrain run has kept, without the last one, which is last.pt."""
    return sorted(int(file[6:-3]) for file in record.checkpoints if file.startswith("epoch-"))


def load_pretrained(registry: Registry, run: Run, *, at_epoch: int | None = None) -> Encoder:
    """The encoder of a finished pretrain run, at its end or after a kept epoch, without the projector."""
    record = registry.load(run)
    encoder = build_encoder(record.settled["backbone"], stem=record.settled["stem"], seed=0)
    encoder.load_state_dict(encoder_in(load_checkpoint(registry, record, kept_name(at_epoch) if at_epoch else "last")))
    return encoder
