"""Linear evaluation: a linear layer, trained by SGD on representations that the frozen encoder computes once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from typer import Option

from sslcli.evaluation.protocols.protocol import Frozen, Outcome, Pace, Protocol, Steps
from sslcli.training.recipe import MaxSteps

if TYPE_CHECKING:
    from sslcli.training.loop import Metrics
    from sslcli.training.step import Training

TIMED_STEPS = 50  # at least; they time the rate search


@dataclass(frozen=True, kw_only=True)
class BySgd:
    """Length and batch size of a linear layer's training by SGD."""

    epochs: Annotated[int, Option(min=1, help="Passes over the training images.")] = 30
    batch_size: Annotated[int, Option(min=2, help="Images per step.")] = 256
    max_steps: MaxSteps = None


def evaluate(frozen: Frozen, options: BySgd, steps: Steps) -> Outcome:
    """Search the rate, then train with the best one; the validation images choose the epoch."""
    import torch

    from sslcli.evaluation.linear import linear_training
    from sslcli.evaluation.metrics import score

    h = frozen.h
    val_h, test_h = h.standardised(h.val), h.standardised(h.test)
    rate = steps.rate_of(lambda tried: [] if tried else [_search(frozen, options)])  # all rates at once
    head, training = linear_training(
        h, rate=rate, epochs=options.epochs, batch_size=options.batch_size, seed=frozen.seed, max_steps=options.max_steps
    )

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
    return search_rate(*rows, classes=h.classes, epochs=options.epochs, batches=batches, max_steps=options.max_steps)


def training(frozen: Frozen, options: BySgd) -> Training:
    """The training, with rate 1."""
    from sslcli.evaluation.linear import linear_training

    h, epochs, most = frozen.h, options.epochs, options.max_steps
    return linear_training(h, rate=1.0, epochs=epochs, batch_size=options.batch_size, seed=frozen.seed, max_steps=most)[1]


def seconds(frozen: Frozen, options: BySgd, _: Pace) -> dict[str, float]:
    """Seconds to choose the rate, extrapolated from some steps."""
    from sslcli.training.device import seconds_of

    epoch_steps = math.ceil(len(frozen.h.train) / options.batch_size)
    steps = min(options.epochs * epoch_steps, options.max_steps or options.epochs * epoch_steps)
    some = min(steps, math.ceil(TIMED_STEPS / epoch_steps) * epoch_steps)
    fewer = replace(options, max_steps=some)
    return {
        "choosing the rate": seconds_of(lambda: _search(frozen, fewer), frozen.h.train.device) * steps / some,
    }


PROTOCOL = Protocol(
    key="linear", name="linear evaluation", help="SGD on representations computed once",
    meaning="The encoder is frozen; one linear layer is trained on its representation. It shows what the encoder had learned "
    "before it saw a label.",
    limits="It cannot say how good the encoder would be after fine-tuning.",
    options=BySgd, evaluate=evaluate, training=training, seconds=seconds,
)  # fmt: skip
