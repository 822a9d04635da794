"""The class of a protocol: everything that the rest of the program knows about one. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from sslcli.runs.run import EXPERIMENTS

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
"""A function from {rate: validation accuracy} of the recorded rates to such mappings for the rates still to be tried."""


@dataclass(frozen=True)
class Start:
    """The input of an evaluation: the encoder, the data, and the split of the labelled images into training and validation."""

    encoder: Encoder
    context: Context
    seed: int
    parts: Split


@dataclass(frozen=True)
class Frozen(Start):
    """The input of an evaluation of a frozen encoder: the encoder in evaluation mode, and its representations of the images."""

    h: Represented

    def classifier(self, head: nn.Linear | None) -> Classifier:
        """One classifier of the encoder and a head trained on standardised h; with None the head is random and never used."""
        from sslcli.models.classifier import Classifier

        made = Classifier(self.encoder, self.h.classes).to(self.context.device)
        if head is not None:
            made.head.load_state_dict(head.state_dict())
            made.fold_standardisation(self.h.mean, self.h.std)
        return made


@dataclass(frozen=True)
class Steps:
    """How a protocol trains by steps in its run.

    `train(training, evaluate=...)` trains from the run's last checkpoint, or from the start, to the end. `evaluate(epoch)`
    returns val/acc, val/loss, test/acc and test/loss; only the first two choose the epoch.

    `rate_of(search)` is the recorded rate, or else the best rate that the search yields. Each result of the search is recorded
    at once, so that a stopped run continues with the next rate.

    `trial(training, validate=..., name=...)` is the validation accuracy of the best epoch of a short training; nothing of it
    is saved. `validate()` returns val/acc and val/loss. A training that diverges has accuracy 0.
    """

    train: Callable[..., Progress]
    rate_of: Callable[[Search], float]
    trial: Callable[..., float]


@dataclass(frozen=True)
class Outcome:
    """The result of an evaluation: the classifier, the test images' logits (N, classes), the progress of its training if it
    trained by steps, and further metrics.
    """

    classifier: Classifier
    test_logits: Tensor
    progress: Progress | None = None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """Measured seconds: for a full step of the protocol's training (0 without one), and per image for the encoder in
    evaluation mode.
    """

    step: float
    image: float


@dataclass(frozen=True)
class NoOptions:
    """The options of a protocol without options."""


Own = TypeVar("Own", bound="DataclassInstance")
"""The class of a protocol's own options."""
Begun = TypeVar("Begun", bound=Start)
"""The input of a protocol: Frozen, or Start if it also trains the encoder."""


@dataclass(frozen=True, kw_only=True)
class Protocol(Generic[Begun, Own]):
    """A way to measure an encoder, for the options, the tables, the page, the pictures, the costs and the checks.

    `key` is its name in records, `name` its name in sentences, `help` its text in `ssl probe --help`. `meaning` says what the
    accuracy shows, `limits` what it cannot show. `experiment` is the folder of its runs below runs/. `frozen`: the encoder does
    not change. `in_folds`: it uses nothing but the images' representations, and so can test them in folds. `probabilities`: its
    outputs are probabilities, so likelihood and calibration have a meaning.

    `options` is a dataclass of its own options, annotated like those of a command; two protocols may share one.
    `settle(options)` returns values for options that are None. `check(options, labelled)` raises a UsageError if the options
    do not fit the number of labelled images.

    `evaluate(start, options, steps)` returns the Outcome. `training(start, options)` is its training, if it trains by steps.
    `logits(h, options)` recomputes the test logits from h, for a protocol whose classifier cannot compute them.
    `seconds(start, options, pace)` are the seconds of its parts here, without steps; h then holds random numbers. Without it,
    `evaluate` is timed.
    """

    key: str
    name: str
    meaning: str
    evaluate: Callable[[Begun, Own, Steps], Outcome]
    limits: str = ""
    help: str = ""
    experiment: str = "linear_eval"
    frozen: bool = True
    in_folds: bool = True
    probabilities: bool = True
    options: type[Own] = field(default=cast(type[Own], NoOptions))  # without other options, Own is NoOptions
    settle: Callable[[Own], Mapping[str, object]] = lambda _: {}
    check: Callable[[Own, int], None] | None = None
    training: Callable[[Begun, Own], Training] | None = None
    logits: Callable[[Represented, Own], Tensor] | None = None
    seconds: Callable[[Begun, Own, Pace], dict[str, float]] | None = None

    @property
    def command(self) -> str:
        """The command that makes its runs."""
        return EXPERIMENTS[self.experiment]

    @property
    def by_steps(self) -> bool:
        """Whether it trains by steps, and so has epochs, curves and checkpoints."""
        return self.training is not None

    @property
    def classifies(self) -> bool:
        """Whether its best.pt alone can classify any picture."""
        return self.logits is None

    def own(self, values: Mapping[str, object]) -> Own:
        """Its own options from all options of a command or a record; missing options have their defaults."""
        built: Callable[..., Own] = self.options
        return built(**{f.name: values[f.name] for f in fields(self.options) if f.name in values})


AnyProtocol = Protocol[Any, Any]
"""A protocol from the table, with any class of options; the types in its own file say which class its functions take."""
