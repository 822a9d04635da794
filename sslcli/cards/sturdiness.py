"""Accuracy and calibration of classifiers on corrupted test images, beside each other on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from torch import Tensor

from sslcli.cards.arms import Answers, Arm
from sslcli.console.messages import say
from sslcli.data.corruptions import CORRUPTIONS, SEVERITIES
from sslcli.evaluation.quality import Floats, calibration_error, reliability_bins, wilson
from sslcli.evaluation.statistics import Difference, paired_scores

Pictures = Callable[[str, int], Tensor]
"""From the name of a corruption and a severity to the corrupted images (n, 3, S, S)."""


@dataclass(frozen=True)
class Answered:
    """A classifier's answers on n clean images, and on the same images with each corruption (by name) at each severity."""

    arm: Arm
    clean: Answers
    corrupted: dict[str, list[Answers]]

    def at(self, severity: int) -> Answers:
        """Its answers at one severity: (corruptions, n)."""
        found = [of[severity - 1] for of in self.corrupted.values()]
        return Answers(np.stack([one.right for one in found]), np.stack([one.confidence for one in found]))

    @property
    def score(self) -> Floats:
        """For each image the share of its corrupted versions that are right, (n,)."""
        found: Floats = np.mean([self.at(one).right.mean(0) for one in SEVERITIES], 0)
        return found


@dataclass(frozen=True, kw_only=True)
class Sturdy:
    """A classifier's accuracies (fractions, with 95 % intervals) and calibration errors in [0, 1].

    `corrupted` is the mean over all corruptions and severities, `loss` is clean minus that. `severities` and `ece` are
    means over corruptions at each severity; `kinds` are means over severities, by corruption.
    """

    arm: str
    protocol: str
    init: str | None
    run: str
    clean: Difference
    severities: list[Difference]
    corrupted: Difference
    loss: float
    clean_ece: float
    ece: list[float]
    kinds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """`first` minus `second` in `what`, measured on the same images: a fraction with its 95 % interval."""

    what: str
    first: str
    second: str
    protocol: str
    value: float
    low: float
    high: float


def answered(arms: Sequence[Arm], clean: Tensor, labels: Tensor, pictures: Pictures) -> list[Answered]:
    """The answers of every classifier; each corrupted picture is made once, for all of them."""
    found = [Answered(arm, arm.answers(clean, labels), {}) for arm in arms]
    for place, name in enumerate(CORRUPTIONS, 1):
        say(f"corruption {place} of {len(CORRUPTIONS)}: {name}")
        for severity in SEVERITIES:  # one at a time, because many large pictures fill the memory
            made = pictures(name, severity)
            for one in found:
                one.corrupted.setdefault(name, []).append(one.arm.answers(made, labels))
    return found


def sturdy(of: Answered) -> Sturdy:
    """The numbers of a classifier."""
    count, severities = len(of.clean.right), [of.at(severity) for severity in SEVERITIES]
    clean, corrupted = _share(float(of.clean.right.mean()), count), _share(float(of.score.mean()), count)
    return Sturdy(
        arm=of.arm.name, protocol=of.arm.protocol, init=of.arm.record.init, run=of.arm.record.id, clean=clean,
        severities=[_share(float(one.right.mean()), count) for one in severities],
        corrupted=corrupted, loss=clean.value - corrupted.value,
        clean_ece=_ece(of.clean), ece=[_ece(one) for one in severities], kinds=kinds(of),
    )  # fmt: skip


def kinds(of: Answered) -> dict[str, float]:
    """The accuracy with each corruption, as the mean over severities."""
    return {name: fmean(float(one.right.mean()) for one in found) for name, found in of.corrupted.items()}


def _share(accuracy: float, count: int) -> Difference:
    """An accuracy with Wilson's interval: for a mean over versions of the same images it is at least as wide as needed."""
    low, high = wilson(np.array([accuracy]), np.array([float(count)]))
    return Difference(accuracy, float(low[0]), float(high[0]))


def _ece(answers: Answers) -> float:
    return calibration_error(reliability_bins(answers.confidence.ravel(), answers.right.ravel()))


def gaps(found: Sequence[Answered]) -> list[Gap]:
    """Every classifier minus scratch of its protocol: when clean, when corrupted, and in what corruption costs."""
    made = []
    for one, other in against_scratch([of.arm for of in found]):
        first, second = (next(of for of in found if of.arm is arm) for arm in (one, other))
        clean = [of.clean.right.astype(np.float64) for of in (first, second)]
        corrupted = [first.score, second.score]
        cost = [(bright - dark) / 2 for bright, dark in zip(clean, corrupted, strict=True)]  # from -1/2 to 1/2
        made += [
            gap("clean", one, other, _paired(clean)),
            gap("corrupted", one, other, _paired(corrupted)),
            gap("loss", one, other, Difference(*(2 * end for end in vars(_paired(cost)).values()))),
        ]
    return made


def gap(what: str, one: Arm, other: Arm, found: Difference) -> Gap:
    """A difference of two classifiers with their names."""
    return Gap(what=what, first=one.name, second=other.name, protocol=one.protocol, **vars(found))


def against_scratch(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Each classifier that does not start from scratch, and that of its protocol which does."""
    scratch = {arm.protocol: arm for arm in arms if arm.record.init == "scratch"}
    return [(arm, scratch[arm.protocol]) for arm in arms if arm.protocol in scratch and arm is not scratch[arm.protocol]]


def _paired(scores: Sequence[Floats]) -> Difference:
    apart = scores[0] - scores[1]
    return paired_scores(float(apart.mean()), float((apart**2).mean()), len(apart))
