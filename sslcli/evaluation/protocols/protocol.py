"""What a protocol is: all that the rest of the program knows about one. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import Tensor, nn

    from sslcli.evaluation.represented import Represented
    from sslcli.models.encoder import Encoder
    from sslcli.training.context import Context
    from sslcli.training.loop import Progress
    from sslcli.training.step import Training


@dataclass(frozen=True)
class Frozen:
    """What an evaluation of a frozen encoder begins with: the encoder in evaluation mode, and what it made of the images."""

    encoder: Encoder
    context: Context
    seed: int
    h: Represented


@dataclass(frozen=True)
class Steps:
    """How a protocol trains by steps in its run.

    `train(training, evaluate=...)` goes from the run's last checkpoint, or from the start, to the end. `evaluate(epoch)` gives
    val/acc, val/loss, test/acc and test/loss, of which the validation ones choose the epoch. `rate_of(search)` is the rate on
    record, else the best that `search()`, rates to validation accuracies, finds.
    """

    train: Callable[..., Progress]
    rate_of: Callable[[Callable[[], Mapping[float, float]]], float]


@dataclass(frozen=True)
class Outcome:
    """What an evaluation ended with: the head on standardised h (None: no head of its own), the test images' logits
    (N, classes), the progress of its training if it was trained by steps, and figures of its own.
    """

    head: nn.Linear | None
    test_logits: Tensor
    progress: Progress | None = None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NoOptions:
    """The options of a protocol that has none of its own."""


Own = TypeVar("Own", bound="DataclassInstance")
"""The class of a protocol's own options."""


@dataclass(frozen=True, kw_only=True)
class Protocol(Generic[Own]):
    """A way to measure an encoder, for the options, the tables, the page, the pictures, the costs and the checks.

    `key` is what a record calls it. `name` stands in a sentence, `help` in `ssl probe --help`. `meaning` says what the accuracy
    tells, `limits` what it cannot. `experiment` is the folder of its runs, below runs/, and `command` what makes them.
    `by_steps`: it trains by steps, so that it has epochs, curves, and checkpoints to go on from. `frozen`: the encoder stays as
    it was. `probabilities`: its outputs are probabilities, so that likelihood and calibration mean something.

    `options` is a dataclass of its own options, annotated as those of a command; two protocols may share one.
    `check(options, labelled)` raises a UsageError where they do not fit so many labelled images.

    `evaluate(frozen, options, steps)` gives the Outcome. `training(frozen, options)` is its training, if it is `by_steps`.
    `logits(h, options)` are the test logits of a protocol whose Outcome has no head, to be made again from representations.
    `seconds(frozen, options)` says how long its parts take here, steps left out, where h holds random numbers; without it
    `evaluate` is timed.
    """

    key: str
    name: str
    meaning: str
    limits: str = ""
    help: str = ""
    experiment: str = "linear_eval"
    command: str = "probe"
    by_steps: bool = False
    frozen: bool = True
    probabilities: bool = True
    options: type[Own] = field(default=cast(type[Own], NoOptions))  # of whoever names no other, Own is NoOptions
    check: Callable[[Own, int], None] | None = None
    evaluate: Callable[[Frozen, Own, Steps], Outcome] | None = None
    training: Callable[[Frozen, Own], Training] | None = None
    logits: Callable[[Represented, Own], Tensor] | None = None
    seconds: Callable[[Frozen, Own], dict[str, float]] | None = None

    @property
    def classifies(self) -> bool:
        """Whether its best.pt says the class of any picture by itself."""
        return self.logits is None

    def own(self, values: Mapping[str, object]) -> Own:
        """Its own options out of all options of a command or a record; what is not there is at its default."""
        built: Callable[..., Own] = self.options
        return built(**{f.name: values[f.name] for f in fields(self.options) if f.name in values})


AnyProtocol = Protocol[Any]
"""A protocol out of a table, which has several classes of options: that its functions take its own, its file's types say."""
