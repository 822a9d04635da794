"""Accuracy and loss of logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from sslcli.errors import StateError


def score(logits: Tensor, labels: Tensor, *, prefix: str) -> dict[str, float]:
    """{prefix/acc: fraction right, prefix/loss: mean cross-entropy in nats} of logits (N, classes).

    A StateError if N is 0.
    """
    if not len(labels):
        raise StateError(f"{prefix}: there are no images, so there is no accuracy")
    right = int((logits.argmax(1) == labels).sum())
    return {f"{prefix}/acc": right / len(labels), f"{prefix}/loss": F.cross_entropy(logits, labels).item()}
