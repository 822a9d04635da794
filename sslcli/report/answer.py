"""The page's answer: every difference with its interval, in words and as a forest plot. Imports no torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from types import MappingProxyType
from typing import Any

from sslcli.comparison.answer import clause, places_in_words
from sslcli.comparison.arms import ArmDifference
from sslcli.comparison.rows import EvaluationRow
from sslcli.evaluation.naming import heading
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.statistics import InitDifference


@dataclass(frozen=True)
class ProtocolWords:
    """A protocol's heading, its name in a sentence, and what it measures and does not."""

    heading: str
    inline: str
    meaning: str = ""


def protocol_of(row: EvaluationRow) -> str:
    """The key of a row's protocol."""
    return row.protocol or row.experiment


def protocol_key(found: InitDifference) -> str:
    """The key of a difference's protocol."""
    return found.protocol or found.experiment


def words_of(protocol: str) -> ProtocolWords:
    """A protocol in words; an unknown one keeps its key."""
    if (found := PROTOCOLS.get(protocol)) is None:
        return ProtocolWords(heading(protocol), protocol)
    return ProtocolWords(heading(found.name), found.name, f"{found.meaning} {found.limits}".strip())


def share(fraction: float | None) -> str:
    """A fraction of the labels in per cent; None is all."""
    return f"{100 * (1 if fraction is None else fraction):.4g} %"


def points(difference: float, digits: int = 1) -> str:
    """A difference of accuracies (fractions) in points, with a real minus sign."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def interval(found: InitDifference | ArmDifference, digits: int = 1) -> str:
    """The 95 % interval of a difference, in points."""
    return f"{points(found.low, digits)} to {points(found.high, digits)}"


NOTHING: Mapping[str, str] = MappingProxyType({})
HOLDS_0, NOT_APART = "the interval holds 0", "with all comparisons counted, not told apart"
"""Why a difference cannot be told from chance."""
FEW = 4  # differences in one sentence, at most


def verdicts(differences: Sequence[InitDifference]) -> list[tuple[str, str]]:
    """The clauses of the answer, as (words to stress, rest): each difference with its interval; more than FEW are counted."""
    shown = list(zip(differences, places_in_words(differences), strict=True))
    if len(shown) > FEW:  # the first gain or loss, if there is one
        shown = sorted(shown, key=lambda pair: pair[0].verdict == "chance")[:1]
    clauses = [(f"In {lead}", typeset(rest)) for lead, rest in (clause(*one) for one in shown)]
    if len(differences) > FEW:
        kinds = Counter(found.verdict for found in differences)
        gains = f"{kinds['gain']} gain{'s' * (kinds['gain'] != 1)}"
        losses = f"{kinds['loss']} loss{'es' * (kinds['loss'] != 1)}"
        counted = f"{gains}, {losses}, {kinds['chance']} that cannot be told from chance"
        clauses.append((f"Of all {len(differences)} comparisons", f" {counted}"))
    return clauses


def typeset(text: str) -> str:
    """Text of the terminal for the page: real minus signs, and no line break before a per cent sign."""
    return re.sub(r"(?<![a-z0-9])-", "−", text.replace(" %", "\u00a0%"))


def forest(
    differences: Sequence[InitDifference], tested: Mapping[str, str] = NOTHING, beside: Sequence[ArmDifference] = ()
) -> dict[str, Any]:
    """The differences as rows of a forest plot: positions in per cent of its width, the ticks of the axis in points.

    `tested` says by run which images were tested. Rows of own pretraining minus each other encoder, `beside`, come last; a
    difference that only the pair alone would show has the mark of chance.
    """
    if not differences:
        return {}
    rows: list[tuple[InitDifference | ArmDifference, str, str, str]] = [
        (found, name, _accuracies(found, tested), found.verdict)
        for name, found in zip(places_in_words(differences), differences, strict=True)
    ]
    rows += [(found, found.place, _other(found), found.verdict if found.apart else "chance") for found in beside]
    ends: list[float] = [100 * value for found, *_ in rows for value in (found.low, found.high, found.difference)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin
    rough = (high - low) / 4
    power = 10 ** floor(log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(step - rough))

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    ticks = [step * count for count in range(round(low / step) - 1, round(high / step) + 2)]
    return {
        "zero": place(0),
        "ticks": [(place(tick), f"{tick:+g}".replace("-", "−") if tick else "0") for tick in ticks if low <= tick <= high],
        "rows": [
            {
                "label": heading(name),
                "value": points(found.difference),
                "interval": interval(found),
                "accuracies": about,
                "kind": kind,
                "doubt": "" if kind != "chance" else HOLDS_0 if found.verdict == "chance" else NOT_APART,
                "at": place(100 * found.difference),
                "low": place(100 * found.low),
                "high": place(100 * found.high),
            }
            for found, name, about, kind in rows
        ],
    }


def _other(found: ArmDifference) -> str:
    """The encoder that is subtracted; where only this pair would show a difference, that."""
    return f"minus {found.second}" + f"; {NOT_APART}" * (found.verdict != "chance" and not found.apart)


def _accuracies(found: InitDifference, tested: Mapping[str, str]) -> str:
    """The two accuracies of a difference, and the images that were tested."""
    where = tested.get(found.pretrained_run)
    return f"{100 * found.pretrained:.1f} against {100 * found.scratch:.1f} %" + (f", {where}" if where else "")
