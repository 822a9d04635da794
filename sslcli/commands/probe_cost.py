"""What the protocols of ssl probe cost here once the representations are made: in seconds, tried on some of the work."""

from __future__ import annotations

import math

import numpy as np
import torch

from sslcli.commands.common import Setting
from sslcli.commands.representations import Represented
from sslcli.config import Probe
from sslcli.data.batches import Batches, generator
from sslcli.data.image_data import ImageData
from sslcli.data.split import Split
from sslcli.data.stored import chosen
from sslcli.evaluation.features import outputs
from sslcli.evaluation.knn import QUERIES, knn_votes
from sslcli.evaluation.linear import search_rate
from sslcli.evaluation.logistic import fit_logistic
from sslcli.models.encoder import Encoder
from sslcli.training.device import seconds_of

STEPS = 50  # of the search of a rate that are timed, at least
SOME = 2000  # images that logistic regression is tried on


def random_h(dim: int, data: ImageData, parts: Split) -> Represented:
    """Random numbers in the place of representations: computing with them takes as long."""
    device = data.train_labels.device
    train_rows, val_rows = parts.train.to(device), parts.val.to(device)
    train, val, test = (torch.randn(len(rows), dim, device=device) for rows in (train_rows, val_rows, data.test_labels))
    mean, std = torch.zeros(dim, device=device), torch.ones(dim, device=device)
    return Represented(train, data.train_labels[train_rows], val, data.train_labels[val_rows], test, data.test_labels,
                       train_rows, mean, std, len(data.classes))  # fmt: skip


def searching(h: Represented, options: Probe) -> float:
    """Seconds to choose the rate of linear evaluation."""
    batches = Batches(len(h.train), options.batch_size, seed=options.seed or 0, drop_last=False)
    some = min(options.epochs, math.ceil(STEPS / batches.epoch_steps))

    def search() -> object:
        return search_rate(h.train, h.train_labels, h.val, h.val_labels, classes=h.classes, epochs=some, batches=batches)

    return seconds_of(search, h.train.device) * options.epochs / some


def neighbours(h: Represented, *, k: int) -> float:
    """Seconds for all test images to find their nearest neighbours."""
    bank, labels = torch.cat([h.train, h.val]), torch.cat([h.train_labels, h.val_labels])
    some = h.test[:QUERIES]
    return seconds_of(lambda: knn_votes(bank, labels, some, classes=h.classes, k=k), bank.device) * len(h.test) / len(some)


def regression(encoder: Encoder, setting: Setting, images: int) -> float:
    """Seconds of logistic regression, roughly: how many iterations it takes depends on the representation."""
    data = setting.data
    rows = data.split(seed=0).train
    rows = rows[torch.randperm(len(rows), generator=generator(0, "regression"))]  # some sets come class by class
    one_of_each = torch.from_numpy(np.unique(data.train_labels.cpu()[rows].numpy(), return_index=True)[1])
    rows = rows[torch.cat([one_of_each, torch.arange(len(rows))])[:SOME]]
    h = outputs(encoder, chosen(data.train_images, rows), normalise=data.normalise, autocast=setting.autocast).cpu()
    h, labels = (h - h.mean(0)) / (h.std(0) + 1e-6), torch.unique(data.train_labels.cpu()[rows], return_inverse=True)[1]
    work = lambda: fit_logistic(h, labels, h, labels, classes=int(labels.max()) + 1)  # noqa: E731
    return seconds_of(work, torch.device("cpu")) * images / len(h)
