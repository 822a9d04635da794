"""Fine-tuning as it is settled: its options, and all that makes a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.augment import Augmentation, make_views, sample_parameters
from sslcli.data.batches import Batches, generator, hand_over
from sslcli.data.image_data import pick
from sslcli.data.loading import load_data
from sslcli.evaluation.protocols.finetune import PROTOCOL
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder
from sslcli.options.finetune import Finetune
from sslcli.plans.data_access import Load, take_labels
from sslcli.plans.inheriting import inherit, settle_encoder
from sslcli.plans.plan import Plan
from sslcli.plans.schedule import optimizer_for, rate_schedule, resolve_training, total_steps
from sslcli.plans.settling import prepare
from sslcli.plans.weights_file import plan_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.step import Batch, Loss, Training


def plan(registry: Registry, command: Finetune) -> Plan[Finetune]:
    """Settle every option, most of them from the pretrain run, and load the data."""
    inherited, parent = inherit(registry, settle_encoder(registry, command))
    return settle(registry, inherited, parent)


def settle(registry: Registry, inherited: Finetune, parent: Run | None, *, load: Load = load_data) -> Plan[Finetune]:
    """The plan of a command that has its pretrain run's options already."""
    context, options = prepare(registry, inherited, load=load)
    take_labels(options, context.data)
    options = resolve_training(options)
    return plan_of(options, context, parent, protocol=PROTOCOL)


def training_of(encoder: Encoder, options: Finetune, context: Context) -> tuple[Classifier, Training]:
    """The classifier on `encoder`, its head drawn from the seed, and its training: all that makes a step."""
    data, device, seed = context.data, context.device, options.seed or 0
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
        parameters = sample_parameters(len(batch[0]), height, width, augmentation, generator(seed, "views", step))
        view = make_views(batch[0], parameters, size=data.image_size, mean=mean, std=std)
        return [view.contiguous(memory_format=torch.channels_last)]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        with context.autocast():
            logits = model(views[0])
        return F.cross_entropy(logits.float(), batch[1]), {}

    training = Training(
        module=model, optimizer=optimizer_for(model, options), batch_at=batch_at, views_of=views_of, loss_of=loss_of,
        lr_at=rate_schedule(options, steps, batches.epoch_steps), steps=steps, epoch_steps=batches.epoch_steps,
        batch_size=options.batch_size, seed=seed,
    )  # fmt: skip
    return model, training
