"""k nearest neighbours: the labelled training images vote; nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from typer import Option

from sslcli.errors import UsageError
from sslcli.evaluation.protocols.protocol import Frozen, Outcome, Pace, Protocol, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from sslcli.evaluation.represented import Represented


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many neighbours vote, and how their votes are weighted."""

    k: Annotated[int, Option("--k", min=1, help="Number of neighbours.")] = 10
    temperature: Annotated[
        float | None, Option(min=1e-3, help="Weight votes by exp(cosine / temperature). Default: equal weights.")
    ] = None


def check(options: Options, labelled: int) -> None:
    """A UsageError if k exceeds the number of labelled images."""
    if options.k > labelled:
        raise UsageError(f"--k {options.k}: accepted is at most the {labelled:,} images that have labels")


def logits(h: Represented, options: Options) -> Tensor:
    """Logarithms of the vote fractions, (N, classes). All labelled training images vote: no choice needs a validation split."""
    import torch

    from sslcli.evaluation.knn import knn_votes

    bank, labels = torch.cat([h.train, h.val]), torch.cat([h.train_labels, h.val_labels])
    return knn_votes(bank, labels, h.test, classes=h.classes, k=options.k, temperature=options.temperature).log()


def evaluate(frozen: Frozen, options: Options, _: Steps) -> Outcome:
    """The votes for the test images."""
    return Outcome(frozen.classifier(None), logits(frozen.h, options))


def seconds(frozen: Frozen, options: Options, _: Pace) -> dict[str, float]:
    """Seconds to find the neighbours of all test images, extrapolated from some of them."""
    from sslcli.evaluation.neighbours import QUERIES
    from sslcli.training.device import seconds_of

    h = frozen.h
    fewer = replace(h, test=h.test[:QUERIES])
    return {"neighbours": seconds_of(lambda: logits(fewer, options), h.train.device) * len(h.test) / len(fewer.test)}


PROTOCOL = Protocol(
    key="knn", name="kNN", help="nearest neighbours, nothing trained", experiment="knn",
    meaning="The nearest training images in the representation vote; nothing is trained.",
    limits="Votes are not probabilities.", probabilities=False,
    options=Options, check=check, evaluate=evaluate, logits=logits, seconds=seconds,
)  # fmt: skip
