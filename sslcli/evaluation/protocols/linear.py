"""Linear evaluation: a linear layer, trained by SGD on representations that the frozen encoder computes once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Option

from sslcli.evaluation.protocols.protocol import Frozen, Outcome, Pace, Protocol, Steps

if TYPE_CHECKING:
    from sslcli.training.loop import Metrics
    from sslcli.training.step import Training

TIMED_STEPS = 50  # at least; they time the rate search


@dataclass(frozen=True, kw_only=True)
class BySgd:
    """Epochs and batch size of a linear layer's training by SGD."""

    epochs: Annotated[int, Option(min=1, help="Passes over the training images.")] = 30
    batch_size: Annotated[int, Option(min=2, help="Images per step.")] = 256


def evaluate(frozen: Frozen, options: BySgd, steps: Steps) -> Outcome:
    """Search the rate, then train with the best one; the validation images choose the epoch."""
    import torch

    from sslcli.evaluation.linear import linear_training
    from sslcli.evaluation.metrics import score

    h = frozen.h
    val_h, test_h = h.standardised(h.val), h.standardised(h.test)
    rate = steps.rate_of(lambda tried: [] if tried else [_search(frozen, options)])  # all rates at once
    head, training = linear_training(
        h, rate=rate, epochs=options.epochs, batch_size=options.batch_size, seed=frozen.seed
    )  # fmt: skip

    @torch.no_grad()
    def measure(_: int) -> Metrics:
        return score(head(val_h), h.val_labels, prefix="val") | score(head(test_h), h.test_labels, prefix="test")

    progress = steps.train(training, evaluate=measure)
    head.load_state_dict(progress.best["weights"])
    with torch.no_grad():
        return Outcome(frozen.classifier(head), head(test_h), progress, {"rate": rate})


def _search(frozen: Frozen, options: BySgd) -> dict[float, float]:
    """The validation accuracy of every rate."""
    from sslcli.data.batches import Batches
    from sslcli.evaluation.linear import search_rate

    h = frozen.h
    train_h, val_h = h.standardised(h.train), h.standardised(h.val)
    batches = Batches(len(train_h), options.batch_size, seed=frozen.seed, drop_last=False)
    rows = (train_h, h.train_labels, val_h, h.val_labels)
    return search_rate(*rows, classes=h.classes, epochs=options.epochs, batches=batches)


def training(frozen: Frozen, options: BySgd) -> Training:
    """The training, with rate 1."""
    from sslcli.evaluation.linear import linear_training

    h, epochs = frozen.h, options.epochs
    return linear_training(h, rate=1.0, epochs=epochs, batch_size=options.batch_size, seed=frozen.seed)[1]


def seconds(frozen: Frozen, options: BySgd, _: Pace) -> dict[str, float]:
    """Seconds to choose the rate, extrapolated from some epochs."""
    from sslcli.training.device import seconds_of

    some = min(options.epochs, math.ceil(TIMED_STEPS / math.ceil(len(frozen.h.train) / options.batch_size)))
    fewer = BySgd(epochs=some, batch_size=options.batch_size)
    return {
        "choosing the rate": seconds_of(lambda: _search(frozen, fewer), frozen.h.train.device) * options.epochs / some,
    }


PROTOCOL = Protocol(
    key="linear", name="linear evaluation", help="SGD on representations computed once",
    meaning="The encoder is frozen; one linear layer is trained on its representation. It shows what the encoder had learned "
    "before it saw a label.",
    limits="It cannot say how good the encoder would be after fine-tuning.",
    options=BySgd, evaluate=evaluate, training=training, seconds=seconds,
)  # fmt: skip
