"""ssl finetune: encoder and classifier trained end to end."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.augment import Augmentation, draw, make_views
from sslcli.data.batches import Batches, generator, hand_over
from sslcli.data.image_data import load_data, pick
from sslcli.data.on_disk import chosen
from sslcli.evaluation.features import outputs
from sslcli.evaluation.metrics import score
from sslcli.evaluation.protocols.finetune import PROTOCOL
from sslcli.evaluation.protocols.protocol import Outcome
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder
from sslcli.options.command import Finetune
from sslcli.plans.data_access import Load, take_labels
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
from sslcli.plans.weights_file import plan_of
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import open_registry
from sslcli.training.lifecycle import Stop, running
from sslcli.training.loop import Metrics
from sslcli.training.step import Batch, Loss, Training
from sslcli.workflows.finishing import finish, inherit, report, settle_encoder, starting_encoder
from sslcli.workflows.rates import with_rate
from sslcli.workflows.training_run import train


def run(command: Finetune) -> Run:
    """Start a new run; the record of it when it is finished."""
    registry = open_registry(command)
    return start(registry, plan(registry, command), carry_out)


def plan(registry: Registry, command: Finetune) -> Plan:
    """Settle every option, most of them from the pretrain run, and load the data."""
    inherited, parent = inherit(registry, settle_encoder(registry, command))
    return settle(registry, inherited, parent)


def settle(registry: Registry, inherited: Finetune, parent: Run | None, *, load: Load = load_data) -> Plan:
    """The plan of a command that has its pretrain run's options already."""
    setting, options = prepare(registry, inherited, load=load)
    take_labels(options, setting.data)
    options = resolve_training(options)
    return plan_of(options, setting, parent, protocol=PROTOCOL)


def carry_out(registry: Registry, run: Run, options: Finetune, setting: Setting) -> Run:
    """Train a run that is in the registry, from its last checkpoint if it has one, to its end."""
    with running(registry, run) as stop:
        _fit(registry, run, options, setting, stop)
    report(run)
    return run


def _fit(registry: Registry, run: Run, options: Finetune, setting: Setting, stop: Stop) -> None:
    data = setting.data
    val_rows = data.split(seed=options.seed or 0, label_fraction=options.label_fraction).val.to(setting.device)

    def validate(model: Classifier) -> Metrics:
        val = outputs(model, chosen(data.train_images, val_rows), normalise=data.normalise, autocast=setting.autocast)
        return score(val, data.train_labels[val_rows], prefix="val")

    encoder = starting_encoder(registry, run, options)
    build = partial(training_of, setting=setting)
    settled = with_rate(registry, run, options, encoder, training_of=build, validate=validate, stop=stop)
    model, training = build(encoder, settled)

    def evaluate(_: int) -> Metrics:
        test = outputs(model, data.test_images, normalise=data.normalise, autocast=setting.autocast)
        return validate(model) | score(test, data.test_labels, prefix="test")

    progress = train(registry, run, training, stop=stop, evaluate=evaluate)
    model.load_state_dict(progress.best["weights"])
    test_logits = outputs(model, data.test_images, normalise=data.normalise, autocast=setting.autocast)
    figures = {"rate": settled.lr or 0.0} if options.search_lr else {}
    finish(registry, run, model, setting, Outcome(None, test_logits, progress, figures))


def training_of(encoder: Encoder, options: Finetune, setting: Setting) -> tuple[Classifier, Training]:
    """The classifier on `encoder`, its head drawn from the seed, and its training: all that makes a step."""
    data, device, seed = setting.data, setting.device, options.seed or 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the classifier's head
        model = Classifier(encoder, len(data.classes))
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_rows = data.split(seed=seed, label_fraction=options.label_fraction).train
    batches = Batches(len(train_rows), options.batch_size, seed=seed, drop_last=False, join_single=True)
    steps = total_steps(options, batches.epoch_steps)
    mean, std = data.normalisation
    height, width = data.train_images.shape[-2:]
    augmentation = Augmentation(crop_min=options.crop_min, flip=options.flip, jitter=0.0, grey=0.0)

    def batch_at(step: int) -> Batch:
        rows = train_rows[batches.at(step)]
        return pick(data.train_images, rows, device), data.train_labels[hand_over(rows, device)]

    def views_of(step: int, batch: Batch) -> list[Tensor]:
        parameters = draw(len(batch[0]), height, width, augmentation, generator(seed, "views", step))
        view = make_views(batch[0], parameters, size=data.image_size, mean=mean, std=std)
        return [view.contiguous(memory_format=torch.channels_last)]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        with setting.autocast():
            logits = model(views[0])
        return F.cross_entropy(logits.float(), batch[1]), {}

    training = Training(
        module=model, optimizer=optimizer_for(model, options), batch_at=batch_at, views_of=views_of, loss_of=loss_of,
        lr_at=rate_schedule(options, steps, batches.epoch_steps), steps=steps, epoch_steps=batches.epoch_steps,
        batch_size=options.batch_size, seed=seed,
    )  # fmt: skip
    return model, training
