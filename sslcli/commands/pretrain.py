"""ssl pretrain: an encoder trained without labels."""

from __future__ import annotations

import importlib
import inspect
import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sslcli.checkpoint import load_checkpoint, save_checkpoint
from sslcli.commands.common import (
    Plan,
    Setting,
    optimizer_for,
    prepare,
    rate_schedule,
    resolve_training,
    start,
    total_steps,
)
from sslcli.commands.project import open_registry, say
from sslcli.commands.resume import continued
from sslcli.commands.training_run import train
from sslcli.commands.view_making import augmentation_of, view_maker, view_size_plan
from sslcli.config import Pretrain
from sslcli.data.augment import draw, make_views
from sslcli.data.batches import Batches, generator
from sslcli.data.image_data import split
from sslcli.distributed import average_gradients, joined, rank, world
from sslcli.errors import UsageError
from sslcli.evaluation.features import outputs
from sslcli.evaluation.health import collapse, health
from sslcli.evaluation.knn import knn_accuracy
from sslcli.methods import METHODS
from sslcli.methods.method import Method, Projecting
from sslcli.models.batch_norm import share_batch_norm
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.registry import Registry, Run
from sslcli.training.lifecycle import Stop, running
from sslcli.training.log import duration
from sslcli.training.loop import Metrics

KNN_QUERIES = 2000  # held-out training images that ask for their neighbours


def run(command: Pretrain) -> None:
    """Start a new run, go on with the one that --run names, or with --dry-run say what it would be."""
    with joined():
        registry = open_registry(command)
        if command.run is not None:
            if not command.dry_run and continued(registry, command):
                return
            command = command.because("--run", name=command.run)
        settled = plan(registry, command)
        if command.dry_run:
            _show_plan(settled.options, settled.setting)
        else:
            start(registry, settled, carry_out)


def plan(registry: Registry, command: Pretrain) -> Plan:
    """Load the data and settle every option."""
    setting, options = prepare(registry, command)
    return Plan(resolve(options, setting), setting, "pretrain")


def resolve(options: Pretrain, setting: Setting) -> Pretrain:
    """Fill in what depends on the data: the sizes of the views, then rate, weight decay and warm-up."""
    size = setting.data.image_size
    if options.view_sizes == "auto":
        options = options.because(f"from the image size, {size}", view_sizes=str(size))
    view_size_plan(options.view_sizes)
    images = len(setting.data.train_images)
    if options.batch_size > images:
        raise UsageError(f"--batch-size {options.batch_size}: accepted is at most the {images} images of {options.dataset}")
    resolved: Pretrain = resolve_training(options)
    return resolved


def carry_out(registry: Registry, run: Run, options: Pretrain, setting: Setting) -> Run:
    """Train a run that is in the registry, from its last checkpoint if it has one, to its end."""
    say(f"run {run.id}; to watch it, type: tensorboard --logdir {os.path.relpath(registry.path('runs/pretrain'))}")
    with running(registry, run) as stop:
        history = _fit(registry, run, options, setting, stop)
        last: dict[str, Any] = history[-1]
        run.metrics = {"loss": last["train/loss_epoch"], "seconds": run.metrics["seconds"]}
        run.metrics |= {key.replace("/", "_"): value for key, value in last.items() if key.startswith("val/")}
    knn = f", kNN accuracy on held-out training images {run.metrics['val_knn']:.2%}" if "val_knn" in run.metrics else ""
    print(f"{run.id}: {duration(run.metrics['seconds'])} of training, loss {run.metrics['loss']:.4g}{knn}")
    _warn_of_collapse(run, last, options, setting)
    say(f"wrote {run.checkpoint} and {run.folder}/run.yaml")
    return run


def _warn_of_collapse(run: Run, measured: Metrics, options: Pretrain, setting: Setting) -> None:
    images = min(KNN_QUERIES, len(split(setting.data.train_labels, seed=options.seed).val))
    dim = build_encoder(options.backbone, stem=options.stem, seed=0).dim
    known = {name.removeprefix("val/"): value for name, value in measured.items()}
    if "rank" in known and (found := collapse(known, z_dim=options.projector_dim, h_dim=dim, images=images)):
        advice = "try a lower rate (--lr), a longer warm-up, or look at what it sees: ssl views"
        say(f"ssl: WARNING: {run.id} looks collapsed: {'; '.join(found)}; {advice}")


def _fit(registry: Registry, run: Run, options: Pretrain, setting: Setting, stop: Stop) -> list[Metrics]:
    data, device = setting.data, setting.device
    method = build_method(options).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = Batches(len(data.train_images), options.batch_size, seed=options.seed, drop_last=True)
    steps = total_steps(options, batches.epoch_steps)
    views_at = view_maker(options, setting, batches, steps, views=method.views)
    if options.compile and world() == 1:
        method.compile(dynamic=False)  # anew for each size of the views
    elif options.compile:
        say("ssl: --compile serves one process; several go on without it")

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        views = views_at(step)
        with setting.autocast():
            loss: tuple[Tensor, dict[str, Tensor]] = method(views)
        return loss

    measure = _meter(method, options, setting)

    def evaluate(epoch: int) -> Metrics:
        if rank() > 0:  # the first process measures, the others wait for it at the next step
            return {}
        if options.keep_every and epoch % options.keep_every == 0 and epoch * batches.epoch_steps < steps:
            save_checkpoint(registry, run, kept_name(epoch), {"model": method.state_dict()})
        return measure(epoch)

    progress = train(
        registry, run, method, optimizer_for(method, options), batch_size=options.batch_size, stop=stop, seed=options.seed,
        steps=steps, epoch_steps=batches.epoch_steps, loss_at=loss_at, after_step=method.after_step,
        lr_at=rate_schedule(options, steps, batches.epoch_steps), evaluate=evaluate,
    )  # fmt: skip
    run.metrics["seconds"] = progress.seconds
    return progress.history


def build_method(options: Pretrain) -> Method:
    """The method with its encoder, random weights drawn from the seed."""
    module, _, name = METHODS[options.method].partition(":")
    kind = getattr(importlib.import_module(module), name)
    taken = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    encoder = build_encoder(options.backbone, stem=options.stem, seed=options.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        method: Method = kind(encoder, **{name: getattr(options, name) for name in taken if name in options.options()})
    share_batch_norm(method)
    return method


def _meter(method: Method, options: Pretrain, setting: Setting) -> Callable[[int], Metrics]:
    """The function that measures h and z after an epoch, on held-out training images.

    For kNN accuracy they ask and other training images answer; for the health of z two views of each, always the same.
    """
    data, parts = setting.data, split(setting.data.train_labels, seed=options.seed)
    random = generator(options.seed, "knn")
    bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]].to(setting.device)
    queries = parts.val[torch.randperm(len(parts.val), generator=random)[:KNN_QUERIES]].to(setting.device)
    (height, width), (mean, std) = data.train_images.shape[-2:], data.normalisation

    def view(number: int) -> Callable[[Tensor], Tensor]:
        random = generator(options.seed, "health", number)

        def make(images: Tensor) -> Tensor:
            parameters = draw(len(images), height, width, augmentation_of(options), random)
            return make_views(images, parameters, size=data.image_size, mean=mean, std=std)

        return make

    def measure(epoch: int) -> Metrics:
        if not options.knn_every or (epoch % options.knn_every and epoch != options.epochs):
            return {}
        images, labels = data.train_images, data.train_labels
        of = partial(outputs, autocast=setting.autocast)
        h = of(method.encoder, images[torch.cat([bank, queries])], normalise=data.normalise)
        h_bank, h_queries = h[: len(bank)], h[len(bank) :]
        knn = knn_accuracy(h_bank, labels[bank], h_queries, labels[queries])
        whole = Projecting(method)
        measured = health(h_queries, *(of(whole, images[queries], normalise=view(number)) for number in (1, 2)))
        return {"val/knn": knn, **{f"val/{name}": value for name, value in measured.items()}}

    return measure


def kept_name(epoch: int) -> str:
    """The checkpoint that is kept after an epoch."""
    return f"epoch-{epoch:04d}"


def kept_epochs(record: Run) -> list[int]:
    """The epochs whose checkpoints a pretrain run has kept, the last one not among them: that is last.pt."""
    return sorted(int(file[6:-3]) for file in record.checkpoints if file.startswith("epoch-"))


def load_pretrained(registry: Registry, run: Run, *, at_epoch: int | None = None) -> Encoder:
    """The encoder of a finished pretrain run, or as it was after an epoch whose checkpoint was kept.

    The projector's weights in the checkpoint are left behind.
    """
    record = registry.load(run)
    encoder = build_encoder(record.options["backbone"], stem=record.options["stem"], seed=0)
    weights = load_checkpoint(registry, record, kept_name(at_epoch) if at_epoch else "last")["model"]
    prefix = "encoder."
    encoder.load_state_dict({name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)})
    return encoder


def _show_plan(options: Pretrain, setting: Setting) -> None:
    """Print every option with its origin, and the expected time, measured on a few steps."""
    for name, value in options.options().items():
        print(f"{name:17} {value!s:22} {options.origins.get(name, 'default')}")
    batches = Batches(len(setting.data.train_images), options.batch_size, seed=options.seed, drop_last=True)
    steps = total_steps(options, batches.epoch_steps)
    seconds = expected_seconds(options, setting, batches, steps)
    print(f"\n{steps} steps, {batches.epoch_steps} an epoch: about {duration(seconds)} here, measured on a few steps")


def expected_seconds(options: Pretrain, setting: Setting, batches: Batches, steps: int) -> float:
    """Time a few steps at each view size (the median of three, after one to warm up), one measuring of h and z, and add up."""
    method = build_method(options).to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = optimizer_for(method, options)
    views_at = view_maker(options, setting, batches, steps, views=method.views)
    seconds, done = 0.0, 0.0
    for _, until in view_size_plan(options.view_sizes):
        times = []
        for _ in range(4):
            began = time.monotonic()
            with setting.autocast():
                loss, _ = method(views_at(min(steps - 1, math.ceil(done * steps))))
            loss.backward()
            average_gradients(method)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()  # waits for a device that computes on its own
            times.append(time.monotonic() - began)
        seconds += sorted(times[1:])[1] * (until - done) * steps
        done = until
    epochs = math.ceil(steps / batches.epoch_steps)
    measured = epochs // options.knn_every + (epochs % options.knn_every > 0) if options.knn_every else 0
    began = time.monotonic()
    _meter(method, options, setting)(options.epochs)
    return seconds + measured * (time.monotonic() - began)
