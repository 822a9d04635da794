"""The answer in three lines: every difference while there is room, else those that are no gain, else their number. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sslcli.comparison.differences import ASKED, answer, places_in_words, speaks_of, verdict_of
from sslcli.console.wrapping import wrapped

LINES = 3
KINDS = {"gain": "Yes", "loss": "No, it costs accuracy", "chance": "No difference that can be told from chance"}
DETAILS = (
    {"gain": "interval", "loss": "interval", "chance": "interval"},
    {"gain": "points", "loss": "points", "chance": "points"},
    {"gain": "number", "loss": "interval", "chance": "interval"},
    {"gain": "number", "loss": "points", "chance": "points"},
    {"gain": "number", "loss": "number", "chance": "number"},
)
"""What is said of the differences of each kind, from long to short."""
Values = Mapping[str, Any]


def brief_answer(differences: Sequence[Values], room: int) -> list[str]:
    """Does pretraining help? The longest wording that fits LINES lines of `room` characters; if none does, the shortest."""
    lines: list[str] = []
    for words in _wordings(differences):
        lines = wrapped(words, room)
        if len(lines) <= LINES:
            break
    return lines


def _wordings(differences: Sequence[Values]) -> Iterator[str]:
    """The answer in words, from long to short."""
    yield answer(differences)
    if not differences:
        return
    named = list(zip(differences, places_in_words(differences), strict=True))
    for details in DETAILS:
        clauses, units = [], True  # the first figure says what the others are
        for kind, detail in details.items():
            mine = [(found, name) for found, name in named if verdict_of(found) == kind]
            if mine and detail == "number":
                clauses.append(f"{KINDS[kind]} in {len(mine)} of {len(named)} comparisons{_range(kind, mine)}.")
            elif mine:
                told = [_figures(*one, detail, units=units and one is mine[0]) for one in mine]
                clauses.append(f"{KINDS[kind]}: {', '.join(told)}.")
                units = False
        yield " ".join([ASKED, *clauses, speaks_of(differences)])


def _range(kind: str, mine: Sequence[tuple[Values, str]]) -> str:
    """Between which points gains or losses are; "" for what is none."""
    sizes = sorted(abs(100 * found["difference"]) for found, _ in mine)
    return "" if kind == "chance" else f", by {sizes[0]:.1f} to {sizes[-1]:.1f} points"


def _figures(found: Values, name: str, detail: str, *, units: bool) -> str:
    """A difference with its place, in points: "kNN +12.7 (+8.0 to +17.2)"."""
    points = f"{name} {100 * found['difference']:+.1f}{' points' * units}"
    if detail == "points":
        return points
    return f"{points} ({'95 % interval ' * units}{100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
