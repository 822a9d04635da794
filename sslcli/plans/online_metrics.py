"""The metrics of pretraining: kNN accuracy, the health of h and z, and measures of their quality without labels.

They use training images, which the loss sees too. Only the labels are held out: no loss sees any label, and the queries of kNN
are never in its bank.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sslcli.data.augment import make_views, sample_parameters
from sslcli.data.batches import generator
from sslcli.data.image_data import ImageData
from sslcli.data.on_disk import chosen
from sslcli.data.split import UNLABELLED
from sslcli.evaluation.features import outputs
from sslcli.evaluation.health import health
from sslcli.evaluation.knn import knn_accuracy
from sslcli.evaluation.label_free import label_free
from sslcli.methods.method import Method, Projecting
from sslcli.options.pretrain import Pretrain
from sslcli.plans.views import augmentation_of
from sslcli.plans.watching import KNN_QUERIES, watcher
from sslcli.training.context import Context
from sslcli.training.finite import hold_to_numbers
from sslcli.training.loop import Metrics

LIDAR_IMAGES, LIDAR_VIEWS = 200, 10  # ten views as in the paper, which uses thousands of images: 200 are cheap


def meter(method: Method, options: Pretrain, context: Context) -> Callable[[int], Metrics]:
    """The function that measures h and z of some training images after an epoch.

    These images are the queries of kNN, if there are labels, and unlabelled ones; other training images are the bank of kNN.
    The health of z, if the method has a z, uses two views of each, and LiDAR more views of fewer images; they are always the
    same views. Without a z, RankMe is that of h. With --watch, the function also measures accuracies on the watched images.
    """
    data = context.data
    (bank, queries), looked_at = asked(options, data), seen(options, data)
    several, watch = looked_at[:LIDAR_IMAGES], watcher(method, options, context)

    def measure(_: int) -> Metrics:
        images, labels = chosen(data.train_images, looked_at), data.train_labels.cpu()
        of = partial(outputs, autocast=context.autocast)
        h = of(method.evaluated, chosen(data.train_images, torch.cat([bank, looked_at])), normalise=data.normalise)
        h_bank, h_seen = h[: len(bank)], h[len(bank) :]
        whole, numbers = Projecting(method), (1, 2) if method.z_dim else ()
        z = [of(whole, images, normalise=_view(options, data, "health", number)) for number in numbers]
        hold_to_numbers({"a representation h": h, "a projection z": torch.cat(z) if z else h})
        measured = health(h_seen, *z)
        if len(looked_at) > 1:
            some = chosen(data.train_images, several)
            views = [_view(options, data, "lidar", number) for number in range(LIDAR_VIEWS)]
            h_views = torch.stack([of(method.evaluated, some, normalise=view) for view in views], 1)
            measured |= label_free(z[0] if z else h_seen, h_seen, h_views)
        if len(bank):
            there, answers = (labels[rows].to(h.device) for rows in (bank, queries))
            measured = {"knn": knn_accuracy(h_bank, there, h_seen[: len(queries)], answers), **measured}
        return {f"val/{name}": value for name, value in measured.items()} | watch()

    return measure


def _view(options: Pretrain, data: ImageData, *words: str | int) -> Callable[[Tensor], Tensor]:
    """A function that makes one random view of each image; `words` seed its stream of views."""
    (height, width), (mean, std) = data.train_images.shape[-2:], data.normalisation
    random = generator(options.seed, *words)

    def make(images: Tensor) -> Tensor:
        parameters = sample_parameters(len(images), height, width, augmentation_of(options), random)
        return make_views(images, parameters, size=data.image_size, mean=mean, std=std)

    return make


def asked(options: Pretrain, data: ImageData) -> tuple[Tensor, Tensor]:
    """Positions of the training images in the bank and of the queries of kNN; without labels the bank is empty."""
    random = generator(options.seed, "knn")
    if (data.train_labels == UNLABELLED).all():
        return torch.empty(0, dtype=torch.int64), torch.randperm(len(data.train_labels), generator=random)[:KNN_QUERIES]
    parts = data.split(seed=options.seed)
    bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]
    return bank, parts.val[torch.randperm(len(parts.val), generator=random)[:KNN_QUERIES]]


def seen(options: Pretrain, data: ImageData) -> Tensor:
    """Positions of the training images whose h and z are measured: the queries of kNN and, if these are few, unlabelled ones.

    A few labels must not leave a few images: their rank is low whatever the encoder is.
    """
    bank, queries = asked(options, data)
    if not len(bank):
        return queries
    free = (data.train_labels.cpu() == UNLABELLED).nonzero().flatten()
    drawn = free[torch.randperm(len(free), generator=generator(options.seed, "health", "unlabelled"))]
    return torch.cat([queries, drawn[: KNN_QUERIES - len(queries)]])


def measured_images(options: Pretrain, data: ImageData) -> int:
    """The number of images that `meter`'s function encodes: the bank, those that are seen, two views of these, ten of some."""
    images = len(seen(options, data))
    return len(asked(options, data)[0]) + 3 * images + LIDAR_VIEWS * min(LIDAR_IMAGES, images)


def is_measured(epoch: int, options: Pretrain, *, of: int) -> bool:
    """Whether h and z are measured after an epoch, the last being `of`; if measured at all, then always after the last."""
    return bool(options.knn_every) and (epoch % options.knn_every == 0 or epoch == of)
