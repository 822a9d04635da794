"""The end-to-end training of encoder and classifier: everything that makes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.augment import Augmentation, make_views, sample_parameters
from sslcli.data.batches import Batches, generator, hand_over
from sslcli.data.image_data import pick
from sslcli.models.classifier import Classifier
from sslcli.training.optim import optimizer_for
from sslcli.training.recipe import rate_schedule, total_steps
from sslcli.training.step import Batch, Loss, Training

if TYPE_CHECKING:
    from sslcli.evaluation.protocols.finetune import Options
    from sslcli.evaluation.protocols.protocol import Start


def batches_of(images: int, options: Options, *, seed: int) -> Batches:
    """The batches of training images. Batch norm needs two images, so a single image left over joins another batch."""
    return Batches(images, options.batch_size, seed=seed, drop_last=False, join_single=True)


def end_to_end_training(start: Start, options: Options) -> tuple[Classifier, Training]:
    """A classifier that contains this encoder (no copy), its head drawn from the seed, and its training."""
    context, seed = start.context, start.seed
    data, device = context.data, context.device
    train_rows = start.parts.train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for the classifier's head
        model = Classifier(start.encoder, len(data.classes))
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = batches_of(len(train_rows), options, seed=seed)
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
        module=model, optimizer=optimizer_for(model, options, precision=context.precision), batch_at=batch_at,
        views_of=views_of, loss_of=loss_of, lr_at=rate_schedule(options, steps, batches.epoch_steps), steps=steps,
        epoch_steps=batches.epoch_steps, batch_size=options.batch_size, per_step=batches.per_step, seed=seed,
    )  # fmt: skip
    return model, training
