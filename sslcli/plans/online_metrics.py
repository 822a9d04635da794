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

    These images are the queries of kNN, if there are labels; other training images are its bank. The health of z, if the method
    has a z, uses two views of each, and LiDAR more views of fewer images; they are always the same views. Without a z, RankMe
    is that of h. With --watch, the function also measures accuracies on the watched images.
    """
    data = context.data
    bank, queries = asked(options, data)
    several, watch = queries[:LIDAR_IMAGES], watcher(method, options, context)

    def measure(_: int) -> Metrics:
        asking, labels = chosen(data.train_images, queries), data.train_labels.cpu()
        of = partial(outputs, autocast=context.autocast)
        h = of(method.evaluated, chosen(data.train_images, torch.cat([bank, queries])), normalise=data.normalise)
        h_bank, h_queries = h[: len(bank)], h[len(bank) :]
        whole, numbers = Projecting(method), (1, 2) if method.z_dim else ()
        z = [of(whole, asking, normalise=_view(options, data, "health", number)) for number in numbers]
        hold_to_numbers({"a representation h": h, "a projection z": torch.cat(z) if z else h})
        measured = health(h_queries, *z)
        if len(queries) > 1:
            some = chosen(data.train_images, several)
            views = [_view(options, data, "lidar", number) for number in range(LIDAR_VIEWS)]
            h_views = torch.stack([of(method.evaluated, some, normalise=view) for view in views], 1)
            measured |= label_free(z[0] if z else h_queries, h_queries, h_views)
        if len(bank):
            there, answers = (labels[rows].to(h.device) for rows in (bank, queries))
            measured = {"knn": knn_accuracy(h_bank, there, h_queries, answers), **measured}
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


def measured_images(options: Pretrain, data: ImageData) -> int:
    """The number of images that `meter`'s function encodes: the bank, the queries, two views of these, ten views of some."""
    bank, queries = asked(options, data)
    return len(bank) + 3 * len(queries) + LIDAR_VIEWS * min(LIDAR_IMAGES, len(queries))


def is_measured(epoch: int, options: Pretrain, *, of: int) -> bool:
    """Whether h and z are measured after an epoch, the last being `of`; if measured at all, then always after the last."""
    return bool(options.knn_every) and (epoch % options.knn_every == 0 or epoch == of)
