"""Linear evaluation: a linear classifier on standardised representations; validation images choose its learning rate."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.data.augment import Augmentation, make_views, sample_parameters
from sslcli.data.batches import Batches, generator, hand_over
from sslcli.data.image_data import pick
from sslcli.evaluation.represented import Represented
from sslcli.models.encoder import Encoder
from sslcli.training.context import Context
from sslcli.training.optim import build_optimizer
from sslcli.training.recipe import warmup_cosine
from sslcli.training.step import Batch, Loss, Training, batch_itself

CROPS = Augmentation(crop_min=0.2, flip=0.5, jitter=0.0, grey=0.0)  # crops and flips
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
MOMENTUM = 0.9


def standardisation(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (d,) of training representations (N, d).

    A constant feature gets deviation 1 and so stays 0. A random network's representation varies little compared with its
    mean: without this step, scratch would be at a disadvantage.
    """
    deviation, mean = torch.std_mean(features.cpu().double(), dim=0)  # some devices have no float64
    deviation = torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-12), deviation, 1.0)
    return mean.float().to(features.device), deviation.float().to(features.device)


def search_rate(
    features: Tensor,
    labels: Tensor,
    val_features: Tensor,
    val_labels: Tensor,
    *,
    classes: int,
    epochs: int,
    batches: Batches,
    max_steps: int | None = None,
) -> dict[float, float]:
    """The validation accuracy at the best epoch of each rate in RATES, from which the rate is chosen, the same for every init.

    After `max_steps` the search ends, whatever its epochs. All rates are trained at once. With plain SGD and no weight decay,
    multiplying one classifier's loss by its rate is the same as giving it that rate.
    """
    rates = torch.tensor(RATES, device=features.device)
    weight = nn.Parameter(torch.zeros(len(RATES), classes, features.shape[1], device=features.device))
    bias = nn.Parameter(torch.zeros(len(RATES), classes, 1, device=features.device))
    optimizer = torch.optim.SGD([weight, bias], lr=1.0, momentum=MOMENTUM)
    steps = _length(epochs, batches, max_steps)
    best = torch.zeros(len(RATES))
    for step in range(steps):
        rows = hand_over(batches.at(step), features.device)
        optimizer.param_groups[0]["lr"] = warmup_cosine(step, steps=steps, warmup=0, lr=1.0)
        logits = weight @ features[rows].mT + bias  # (rates, classes, batch)
        losses = F.cross_entropy(logits, labels[rows].expand(len(RATES), -1), reduction="none").mean(1)
        optimizer.zero_grad()
        (losses * rates).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % batches.epoch_steps == 0 or step + 1 == steps:
            with torch.no_grad():
                guesses = (weight @ val_features.mT + bias).argmax(1)
            best = torch.maximum(best, (guesses == val_labels).float().mean(1).cpu())
    return dict(zip(RATES, best.tolist(), strict=True))


def _length(epochs: int, batches: Batches, max_steps: int | None) -> int:
    """The number of steps of a training, at most `max_steps`."""
    steps = epochs * batches.epoch_steps
    return min(steps, max_steps or steps)


class HeadPerRate(nn.Module):
    """A linear classifier for each rate of RATES, starting from zero, on standardised h: (B, d) to logits (rates, B, classes).

    With `loss`, one optimizer at rate 1 trains each of them at its own rate, as in `search_rate`.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(RATES), classes, dim))
        self.bias = nn.Parameter(torch.zeros(len(RATES), 1, classes))

    def forward(self, h: Tensor) -> Tensor:
        """The logits of every classifier."""
        logits: Tensor = h @ self.weight.mT + self.bias
        return logits

    def loss(self, h: Tensor, labels: Tensor) -> Tensor:
        """The sum of the classifiers' cross-entropies, each multiplied by its rate."""
        logits = self(h)
        losses = F.cross_entropy(logits.mT, labels.expand(len(RATES), -1), reduction="none").mean(1)
        return (losses * torch.tensor(RATES, device=h.device)).sum()

    def at(self, rate: float) -> nn.Linear:
        """The classifier of one rate."""
        place = RATES.index(rate)
        head = nn.Linear(self.weight.shape[2], self.weight.shape[1], device=self.weight.device)
        head.load_state_dict({"weight": self.weight[place].detach(), "bias": self.bias[place, 0].detach()})
        return head


def zero_head(dim: int, classes: int) -> nn.Linear:
    """A linear layer that starts from zero, so that nothing random comes between the representation and its score."""
    head = nn.Linear(dim, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def linear_training(
    h: Represented, *, rate: float, epochs: int, batch_size: int, seed: int, max_steps: int | None = None
) -> tuple[nn.Linear, Training]:
    """A linear layer that starts from zero, and its training on standardised representations of the training images."""
    train_h = h.standardised(h.train)
    head = zero_head(train_h.shape[1], h.classes).to(train_h.device)

    def batch_of(rows: Tensor) -> Batch:
        return train_h[rows], h.train_labels[rows]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        return F.cross_entropy(head(views[0]), batch[1]), {}

    batches = Batches(len(h.train), batch_size, seed=seed, drop_last=False)
    steps = _length(epochs, batches, max_steps)
    return head, _by_sgd(head, batch_of, batch_itself, loss_of, h, rate=rate, batches=batches, steps=steps, seed=seed)


def augmented_training(
    encoder: Encoder, h: Represented, context: Context, *, epochs: int, batch_size: int, seed: int, max_steps: int | None = None
) -> tuple[HeadPerRate, Training]:
    """A linear layer for each rate, and their training on the representations of crops by `encoder` in evaluation mode."""
    data = context.data
    (height, width), (mean, std) = data.train_images.shape[-2:], data.normalisation
    heads = HeadPerRate(encoder.dim, h.classes).to(context.device)

    def batch_of(rows: Tensor) -> Batch:
        return pick(data.train_images, h.rows[rows], context.device), h.train_labels[rows]

    def views_of(step: int, batch: Batch) -> list[Tensor]:
        drawn = sample_parameters(len(batch[0]), height, width, CROPS, generator(seed, "views", step))
        view = make_views(batch[0], drawn, size=data.image_size, mean=mean, std=std)
        return [view.contiguous(memory_format=torch.channels_last)]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        with torch.no_grad(), context.autocast():
            seen = encoder(views[0]).float()
        return heads.loss(h.standardised(seen), batch[1]), {}

    batches = Batches(len(h.train), batch_size, seed=seed, drop_last=False)
    steps = _length(epochs, batches, max_steps)
    return heads, _by_sgd(heads, batch_of, views_of, loss_of, h, rate=1.0, batches=batches, steps=steps, seed=seed)


def _by_sgd(
    module: nn.Module,
    batch_of: Callable[[Tensor], Batch],
    views_of: Callable[[int, Batch], list[Tensor]],
    loss_of: Callable[[list[Tensor], Batch], Loss],
    h: Represented,
    *,
    rate: float,
    batches: Batches,
    steps: int,
    seed: int,
) -> Training:
    """Training by SGD on the training images of h, with a cosine from `rate` to 0; `batch_of` takes positions among them."""
    return Training(
        module=module, optimizer=build_optimizer(module, "sgd", lr=rate, weight_decay=0.0, momentum=MOMENTUM),
        batch_at=lambda step: batch_of(hand_over(batches.at(step), h.train.device)), views_of=views_of, loss_of=loss_of,
        lr_at=lambda step: warmup_cosine(step, steps=steps, warmup=0, lr=rate), steps=steps,
        epoch_steps=batches.epoch_steps, batch_size=batches.batch_size, per_step=batches.per_step, seed=seed,
    )  # fmt: skip
