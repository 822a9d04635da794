"""What a protocol is: all that the rest of the program knows about one. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import Tensor, nn

    from sslcli.data.split import Split
    from sslcli.evaluation.represented import Represented
    from sslcli.models.classifier import Classifier
    from sslcli.models.encoder import Encoder
    from sslcli.training.context import Context
    from sslcli.training.loop import Progress
    from sslcli.training.step import Training

Search = Callable[[Mapping[float, float]], "Iterable[Mapping[float, float]]"]
"""From the rates that are on record, to their validation accuracies, to those of the rates that are still to be tried."""


@dataclass(frozen=True)
class Start:
    """What an evaluation begins with: the encoder, the data, and the labelled images that train and those that choose."""

    encoder: Encoder
    context: Context
    seed: int
    parts: Split


@dataclass(frozen=True)
class Frozen(Start):
    """What an evaluation of a frozen encoder begins with: the encoder in evaluation mode, and what it made of the images."""

    h: Represented

    def classifier(self, head: nn.Linear | None) -> Classifier:
        """The encoder and a head that was trained on standardised h, as one; with None the head is random, and never used."""
        from sslcli.models.classifier import Classifier

        made = Classifier(self.encoder, self.h.classes).to(self.context.device)
        if head is not None:
            made.head.load_state_dict(head.state_dict())
            made.fold_standardisation(self.h.mean, self.h.std)
        return made


@dataclass(frozen=True)
class Steps:
    """How a protocol trains by steps in its run.

    `train(training, evaluate=...)` goes from the run's last checkpoint, or from the start, to the end. `evaluate(epoch)` gives
    val/acc, val/loss, test/acc and test/loss, of which the validation ones choose the epoch.

    `rate_of(search)` is the rate on record. If there is none, it is the best that the search yields: what the search yields is
    put on record at once, so that a run that is stopped goes on with the next rate.

    `trial(training, validate=..., name=...)` is the validation accuracy of the best epoch of a short training, of which nothing
    is kept. `validate()` gives val/acc and val/loss. One that diverges has accuracy 0.
    """

    train: Callable[..., Progress]
    rate_of: Callable[[Search], float]
    trial: Callable[..., float]


@dataclass(frozen=True)
class Outcome:
    """What an evaluation ended with: the classifier, the test images' logits (N, classes), the progress of its training if it
    was trained by steps, and figures of its own.
    """

    classifier: Classifier
    test_logits: Tensor
    progress: Progress | None = None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """What was timed here, in seconds: a full step of the protocol's training (0 without one), and an image's way through the
    encoder in evaluation mode.
    """

    step: float
    image: float


@dataclass(frozen=True)
class NoOptions:
    """The options of a protocol that has none of its own."""


Own = TypeVar("Own", bound="DataclassInstance")
"""The class of a protocol's own options."""
Begun = TypeVar("Begun", bound=Start)
"""What a protocol begins with: Frozen, or where it trains the encoder too, Start."""


@dataclass(frozen=True, kw_only=True)
class Protocol(Generic[Begun, Own]):
    """A way to measure an encoder, for the options, the tables, the page, the pictures, the costs and the checks.

    `key` is what a record calls it. `name` stands in a sentence, `help` in `ssl probe --help`. `meaning` says what the accuracy
    tells, `limits` what it cannot. `experiment` is the folder of its runs, below runs/, and `command` what makes them.
    `by_steps`: it trains by steps, so that it has epochs, curves, and checkpoints to go on from. `frozen`: the encoder stays as
    it was. `probabilities`: its outputs are probabilities, so that likelihood and calibration mean something.

    `options` is a dataclass of its own options, annotated as those of a command; two protocols may share one.
    `settle(options)` gives values for options that were left open. `check(options, labelled)` raises a UsageError where they do
    not fit so many labelled images.

    `evaluate(start, options, steps)` gives the Outcome. `training(start, options)` is its training, if it is `by_steps`.
    `logits(h, options)` are the test logits of a protocol whose classifier cannot give them, to be made again from h.
    `seconds(start, options, pace)` says how long its parts take here, steps left out, where h holds random numbers; without it
    `evaluate` is timed.
    """

    key: str
    name: str
    meaning: str
    evaluate: Callable[[Begun, Own, Steps], Outcome]
    limits: str = ""
    help: str = ""
    experiment: str = "linear_eval"
    command: str = "probe"
    by_steps: bool = False
    frozen: bool = True
    probabilities: bool = True
    options: type[Own] = field(default=cast(type[Own], NoOptions))  # of whoever names no other, Own is NoOptions
    settle: Callable[[Own], Mapping[str, object]] = lambda _: {}
    check: Callable[[Own, int], None] | None = None
    training: Callable[[Begun, Own], Training] | None = None
    logits: Callable[[Represented, Own], Tensor] | None = None
    seconds: Callable[[Begun, Own, Pace], dict[str, float]] | None = None

    @property
    def classifies(self) -> bool:
        """Whether its best.pt says the class of any picture by itself."""
        return self.logits is None

    def own(self, values: Mapping[str, object]) -> Own:
        """Its own options out of all options of a command or a record; what is not there is at its default."""
        built: Callable[..., Own] = self.options
        return built(**{f.name: values[f.name] for f in fields(self.options) if f.name in values})


AnyProtocol = Protocol[Any, Any]
"""A protocol out of a table, which has several classes of options: that its functions take its own, its file's types say."""
