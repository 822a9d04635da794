"""Online accuracy: of a linear classifier that is trained in a moment while an encoder is pretrained. No linear evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.batches import Batches, hand_over
from sslcli.evaluation.linear import MOMENTUM, standardisation, zero_head
from sslcli.training.recipe import warmup_cosine

EPOCHS, BATCH, RATE = 10, 256, 0.1  # one rate for every encoder: none is searched for, and nothing chosen


def online_accuracy(features: Tensor, labels: Tensor, asked: Tensor, answers: Tensor, *, classes: int, seed: int) -> float:
    """The fraction of representations (M, d) that a linear classifier of others (N, d), with labels (N,), calls right.

    It begins from zero and reads h standardised as in linear evaluation. There is no gradient into h.
    """
    features = features.detach()
    mean, deviation = standardisation(features)
    train, held_out = ((some - mean) / deviation for some in (features, asked.detach()))
    head = zero_head(features.shape[1], classes).to(features.device)
    optimizer = torch.optim.SGD(head.parameters(), lr=RATE, momentum=MOMENTUM)
    batches = Batches(len(train), BATCH, seed=seed, drop_last=False)
    steps = EPOCHS * batches.epoch_steps
    for step in range(steps):
        rows = hand_over(batches.at(step), train.device)
        optimizer.param_groups[0]["lr"] = warmup_cosine(step, steps=steps, warmup=0, lr=RATE)
        optimizer.zero_grad()
        F.cross_entropy(head(train[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return int((head(held_out).argmax(1) == answers).sum()) / len(answers)
