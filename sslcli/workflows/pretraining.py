"""ssl pretrain: an encoder trained without labels."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslcli.data.batches import Batches, ahead, hand_over
from sslcli.data.image_data import load_data, pick
from sslcli.data.on_disk import Stored
from sslcli.distributed import joined, on_first, own_part, rank, world
from sslcli.errors import UsageError
from sslcli.evaluation.health import collapse
from sslcli.evaluation.naming import init_label
from sslcli.methods import METHODS, options_of
from sslcli.methods.method import Batch as Seen
from sslcli.methods.method import Method, evaluated_name
from sslcli.models.batch_norm import share_batch_norm
from sslcli.models.encoder import Encoder, build_encoder, hold_to_side
from sslcli.options.command import Pretrain
from sslcli.plans.data_access import Load
from sslcli.plans.online_metrics import asked, is_measured, meter
from sslcli.plans.settling import (
    Plan,
    Setting,
    optimizer_for,
    prepare,
    rate_schedule,
    resolve_training,
    start,
    total_steps,
)
from sslcli.plans.views import fit_to_size, side_of, view_maker, view_size_plan, work_of
from sslcli.plans.weights_file import begin_with_file, take_stock
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import open_registry, say
from sslcli.training.checkpoint import encoder_in, load_checkpoint, save_checkpoint
from sslcli.training.lifecycle import Stop, running
from sslcli.training.log import duration
from sslcli.training.loop import Metrics
from sslcli.training.step import Batch, Loss, Training
from sslcli.workflows.resume import continued
from sslcli.workflows.training_run import train


def run(command: Pretrain) -> Run | None:
    """Start a new run, or go on with the one that --run names; its record. With --dry-run say what it would be: None."""
    with joined():
        registry = open_registry(command)
        if command.run is not None:
            if (begun := continued(registry, command)) is not None:
                return begun
            command = command.because("--run", name=command.run)
        if command.dry_run:
            _show_plan(registry, command)
            return None
        return start(registry, plan(registry, command), carry_out)


def plan(registry: Registry, command: Pretrain, *, load: Load = load_data) -> Plan:
    """Load the data and settle every option."""
    setting, options = prepare(registry, command, load=load)
    origin = on_first(lambda: take_stock(options))
    if options.minutes is not None:
        from sslcli.bench.minutes import fit_to_minutes

        options = fit_to_minutes(command, options, setting)
    choices = {} if options.minutes is None else {"minutes": options.minutes}
    resolved, init = resolve(options, setting), init_label("", origin) or None
    return Plan(resolved, setting, "pretrain", init=init, method=resolved.method, origin=origin, choices=choices)


def resolve(options: Pretrain, setting: Setting) -> Pretrain:
    """Fill in what depends on the data: the sizes of the views, then rate, weight decay and warm-up."""
    size = setting.data.image_size
    options = fit_to_size(options, size)
    if options.view_sizes == "auto":
        options = options.because(f"from the image size, {size}", view_sizes=str(size))
    parts = {spec.part for spec in build_method(options).views}
    for side in {side_of(size, part) for size, _ in view_size_plan(options.view_sizes) for part in parts}:
        hold_to_side(options.backbone, stem=options.stem, side=side)
    if options.batch_size > (images := len(setting.data.train_images)):
        raise UsageError(f"--batch-size {options.batch_size}: accepted is at most the {images} images of {options.dataset}")
    resolved: Pretrain = resolve_training(options)
    return resolved


def carry_out(registry: Registry, run: Run, options: Pretrain, setting: Setting) -> Run:
    """Train a run that is in the registry, from its last checkpoint if it has one, to its end."""
    say(f"run {run.id}; to watch it, type: tensorboard --logdir {os.path.relpath(registry.path('runs/pretrain'))}")
    say(f"{run.id}: {_in_words(options, setting)}")
    if not run.checkpoints and "minutes" not in run.choices:
        from sslcli.bench.minutes import tell_of_hours

        tell_of_hours(registry, run, options, setting)
    with running(registry, run) as stop:
        history = _fit(registry, run, options, setting, stop)
        last: dict[str, Any] = history[-1]
        run.metrics = {"loss": last["train/loss_epoch"], "seconds": run.metrics["seconds"]}
        run.metrics |= {key.replace("/", "_"): value for key, value in last.items() if key.startswith("val/")}
    of_images = "kNN accuracy on training images whose labels are held out"
    knn = f", {of_images} {run.metrics['val_knn']:.2%}" if "val_knn" in run.metrics else ""
    print(f"{run.id}: {duration(run.metrics['seconds'])} of training, loss {run.metrics['loss']:.4g}{knn}")
    _warn_of_collapse(run, last, options, setting)
    say(f"wrote {run.checkpoint} and {run.folder}/run.yaml")
    return run


def _in_words(options: Pretrain, setting: Setting) -> str:
    """What of a training follows from the size of its images."""
    jitter = "/".join(f"{value:g}" for value in (options.brightness, options.contrast, options.saturation, options.hue))
    return (
        f"images of {setting.data.image_size} pixels: {options.backbone}, stem {options.stem}; views of {options.view_sizes}, "
        f"crops from {options.crop_min:g} of the area on, jitter {jitter}, grey {options.grey:g}, blur {options.blur:g}"
    )


def _warn_of_collapse(run: Run, measured: Metrics, options: Pretrain, setting: Setting) -> None:
    images = len(asked(options, setting.data)[1])
    method = build_method(options)
    known = {name.removeprefix("val/"): value for name, value in measured.items()}
    if "rank" in known and (found := collapse(known, z_dim=method.z_dim, h_dim=method.encoder.dim, images=images)):
        advice = "try a lower rate (--lr), a longer warm-up, or look at what it sees: ssl views"
        say(f"ssl: WARNING: {run.id} looks collapsed: {'; '.join(found)}; {advice}")


def _fit(registry: Registry, run: Run, options: Pretrain, setting: Setting, stop: Stop) -> list[Metrics]:
    def begin(encoder: Encoder) -> None:
        on_first(lambda: begin_with_file(run, encoder, options))

    method, training = training_of(options, setting, begin=begin)
    marked = {} if (name := evaluated_name(method)) == "encoder" else {"evaluated": name}
    measure = meter(method, options, setting)
    epochs = -(-training.steps // training.epoch_steps)

    def evaluate(epoch: int) -> Metrics:
        if rank() > 0:  # the first process measures, the others wait for it at the next step
            return {}
        if is_kept(epoch, options, training.steps, training.epoch_steps):
            save_checkpoint(registry, run, kept_name(epoch), {"model": method.state_dict()} | marked)
        return measure(epoch) if is_measured(epoch, options, of=epochs) else {}

    progress = train(registry, run, training, stop=stop, evaluate=evaluate, marked=marked)
    run.metrics["seconds"] = progress.seconds
    return progress.history


def training_of(
    options: Pretrain, setting: Setting, *, begin: Callable[[Encoder], None] = lambda _: None
) -> tuple[Method, Training]:
    """The method, and its training: all that makes a step. `begin` gives the encoder other first weights than random ones."""
    images, device = setting.data.train_images, setting.device
    method = build_method(options, begin=begin).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.compile and world() == 1:
        method.compile(dynamic=False)  # anew for each size of the views
    elif options.compile:
        say("ssl: --compile serves one process; several go on without it")
    batches = Batches(len(images), options.batch_size, seed=options.seed, drop_last=True)
    steps = total_steps(options, batches.epoch_steps)

    def batch_at(step: int) -> Batch:
        """The images of a step, their rows, and (1,) the step itself."""
        rows = batches.at(step)
        own = rows[own_part(len(rows))]
        return pick(images, own, device), hand_over(own, device), torch.tensor([step])

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        _, rows, step = batch
        with setting.autocast():
            loss: Loss = method(Seen(views, rows), int(step))
        return loss

    training = Training(
        module=method, optimizer=optimizer_for(method, options, own=method.parameter_groups()), loss_of=loss_of,
        batch_at=ahead(batch_at) if isinstance(images, Stored) else batch_at,
        views_of=view_maker(options, setting, steps, views=method.views),
        before_step=method.before_step, after_step=method.after_step,
        lr_at=rate_schedule(options, steps, batches.epoch_steps), steps=steps, epoch_steps=batches.epoch_steps,
        batch_size=options.batch_size, seed=options.seed, work_until=work_of(options.view_sizes, steps),
    )  # fmt: skip
    return method, training


def build_method(options: Pretrain, *, begin: Callable[[Encoder], None] = lambda _: None) -> Method:
    """The method around its encoder: random weights drawn from the seed, where `begin` does not give the encoder others."""
    path, _, name = METHODS[options.method].partition(":")
    module: Any = importlib.import_module(path)
    own = module.Options(**{option: getattr(options, option) for option in options_of(options.method)})
    encoder = build_encoder(options.backbone, stem=options.stem, seed=options.seed)
    begin(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        method: Method = getattr(module, name)(encoder, own)
    share_batch_norm(method)
    return method


def is_kept(epoch: int, options: Pretrain, steps: int, epoch_steps: int) -> bool:
    """Whether the checkpoint after an epoch is kept: not the last one's, that is last.pt."""
    return bool(options.keep_every) and epoch % options.keep_every == 0 and epoch * epoch_steps < steps


def kept_name(epoch: int) -> str:
    """The checkpoint that is kept after an epoch."""
    return f"epoch-{epoch:04d}"


def kept_epochs(record: Run) -> list[int]:
    """The epochs whose checkpoints a pretrain run has kept, the last one not among them: that is last.pt."""
    return sorted(int(file[6:-3]) for file in record.checkpoints if file.startswith("epoch-"))


def load_pretrained(registry: Registry, run: Run, *, at_epoch: int | None = None) -> Encoder:
    """The encoder of a finished pretrain run, or as it was after a kept epoch; the projector's weights are left behind."""
    record = registry.load(run)
    encoder = build_encoder(record.options["backbone"], stem=record.options["stem"], seed=0)
    encoder.load_state_dict(encoder_in(load_checkpoint(registry, record, kept_name(at_epoch) if at_epoch else "last")))
    return encoder


def _show_plan(registry: Registry, command: Pretrain) -> None:
    """Print every option with its origin, and the expected time, measured on a few steps."""
    from sslcli.bench.cost import Costs

    costs = Costs()
    settled = plan(registry, command, load=costs.load)
    options = settled.options
    for name, value in options.options().items():
        print(f"{name:17} {value!s:22} {options.origins.get(name, 'default')}")
    cost = costs.of(settled)
    print(f"\n{cost.steps} steps, {cost.epoch_steps} an epoch: about {duration(cost.seconds)} here, measured on a few steps")
