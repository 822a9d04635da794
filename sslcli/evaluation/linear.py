"""Linear evaluation: a linear classifier on standardised representations, its rate found on validation images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.data.batches import Batches, hand_over
from sslcli.training.optim import warmup_cosine

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
MOMENTUM = 0.9


def standardisation(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (d,) of training representations (N, d).

    A feature that never varies gets deviation 1 and so stays 0. A random network's representation hardly varies
    beside its mean: without this step, scratch would be cheated.
    """
    deviation, mean = torch.std_mean(features.cpu().double(), dim=0)  # some devices have no float64
    deviation = torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-12), deviation, 1.0)
    return mean.float().to(features.device), deviation.float().to(features.device)


def search_rate(
    features: Tensor, labels: Tensor, val_features: Tensor, val_labels: Tensor, *, classes: int, epochs: int, batches: Batches
) -> dict[float, float]:
    """Validation accuracy at the best epoch of each rate in RATES: what the rate is chosen by, for every init alike.

    All rates are trained at once. With plain SGD and no weight decay, multiplying one classifier's loss by its rate is
    the same as giving it that rate.
    """
    rates = torch.tensor(RATES, device=features.device)
    weight = nn.Parameter(torch.zeros(len(RATES), classes, features.shape[1], device=features.device))
    bias = nn.Parameter(torch.zeros(len(RATES), classes, 1, device=features.device))
    optimizer = torch.optim.SGD([weight, bias], lr=1.0, momentum=MOMENTUM)
    steps = epochs * batches.epoch_steps
    best = torch.zeros(len(RATES))
    for step in range(steps):
        rows = hand_over(batches.at(step), features.device)
        optimizer.param_groups[0]["lr"] = warmup_cosine(step, steps=steps, warmup=0, lr=1.0)
        logits = weight @ features[rows].mT + bias  # (rates, classes, batch)
        losses = F.cross_entropy(logits, labels[rows].expand(len(RATES), -1), reduction="none").mean(1)
        optimizer.zero_grad()
        (losses * rates).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % batches.epoch_steps == 0:
            with torch.no_grad():
                guesses = (weight @ val_features.mT + bias).argmax(1)
            best = torch.maximum(best, (guesses == val_labels).float().mean(1).cpu())
    return dict(zip(RATES, best.tolist(), strict=True))


class HeadPerRate(nn.Module):
    """A linear classifier for each rate of RATES, all from zero, on standardised h: (B, d) to logits (rates, B, classes).

    `loss` makes one optimizer at rate 1 train each of them at its own, as `search_rate` does.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(RATES), classes, dim))
        self.bias = nn.Parameter(torch.zeros(len(RATES), 1, classes))

    def forward(self, h: Tensor) -> Tensor:
        """Logits of every classifier."""
        logits: Tensor = h @ self.weight.mT + self.bias
        return logits

    def loss(self, h: Tensor, labels: Tensor) -> Tensor:
        """The classifiers' cross-entropies, each multiplied by its rate, in a sum."""
        logits = self(h)
        losses = F.cross_entropy(logits.mT, labels.expand(len(RATES), -1), reduction="none").mean(1)
        return (losses * torch.tensor(RATES, device=h.device)).sum()
