"""Does pretraining help? The answer in words, for the terminal, programs and the page. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sslcli.console.messages import wrapped
from sslcli.evaluation.naming import in_words, told_apart
from sslcli.evaluation.statistics import InitDifference

ASKED = "Does pretraining help?"
LINES = 3
MANY = 30  # differences; to name so many takes more than LINES lines
KINDS = {"gain": "Yes", "loss": "No, it costs accuracy", "chance": "No difference that can be told from chance"}
DETAILS = (
    {"gain": "interval", "loss": "interval", "chance": "interval"},
    {"gain": "points", "loss": "points", "chance": "points"},
    {"gain": "number", "loss": "interval", "chance": "interval"},
    {"gain": "number", "loss": "points", "chance": "points"},
    {"gain": "number", "loss": "number", "chance": "number"},
)
"""The wordings for the differences of each kind, from long to short."""


def answer(differences: Sequence[InitDifference]) -> str:
    """One sentence: does pretraining help? A difference whose interval spans 0 is never called a gain or a loss."""
    if not differences:
        return "There is no pair of pretrained and scratch runs with otherwise equal options, so no difference to state."
    told = [
        "".join(clause(found, place, beside=f"; {found.pretrained:.2%} against {found.scratch:.2%}"))
        for place, found in zip(places_in_words(differences), differences, strict=True)
    ]
    return f"{ASKED} In {'; in '.join(told)}. {_seeds_in_words(differences)}"


def clause(found: InitDifference, place: str, *, beside: str = "") -> tuple[str, str]:
    """The verdict on a difference, and its numbers in points; `beside` follows the interval."""
    size, low, high = (100 * value for value in (found.difference, found.low, found.high))
    if found.verdict == "gain":
        return f"{place}, yes", f", by {size:.1f} points (95 % interval {low:.1f} to {high:.1f}{beside})"
    if found.verdict == "loss":
        return f"{place}, no", f", it costs {-size:.1f} points (95 % interval {-high:.1f} to {-low:.1f}{beside})"
    figures = f"{size:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}{beside}"
    return f"{place}, no difference", f" that can be told from chance ({figures})"


def places_in_words(differences: Sequence[InitDifference], *, epochs: bool = True) -> list[str]:
    """Distinct names of what each difference was measured on; with `epochs` also whether test images chose the epoch."""
    several = len({found.dataset for found in differences}) > 1
    words = [
        in_words(found.experiment, found.label_fraction, found.at_epoch, found.protocol)
        + f" of {found.dataset}" * several
        + " (best epoch on the test images)" * (epochs and found.metric == "best_test_acc")
        for found in differences
    ]
    return told_apart(words, differences)


def speaks_of(differences: Sequence[InitDifference]) -> str:
    """What the differences hold for, in sentences: which accuracy, which seeds."""
    chosen = [found.metric == "best_test_acc" for found in differences]
    whose = "Accuracies are" if all(chosen) else "Some accuracies are"
    best = f"{whose} of the best epoch on the test images. " if any(chosen) else ""
    return best + _seeds_in_words(differences)


def _seeds_in_words(differences: Sequence[InitDifference]) -> str:
    numbers = sorted({len(found.seeds) for found in differences})
    in_folds = ["folds" in found.interval for found in differences]
    tested = "Every labelled image was tested once. " if all(in_folds) else "In folds every labelled image was tested once. "
    how = tested * any(in_folds)
    if numbers == [1]:
        return f"{how}One seed: this holds for these encoders; other seeds can differ by more."
    words = " to ".join(str(n) for n in dict.fromkeys((numbers[0], numbers[-1])))
    single = "; those of one seed hold for its encoders only" if numbers[0] == 1 else ""
    return f"{how}Means over {words} seeds; the intervals are over seeds and test images{single}."


def brief_answer(differences: Sequence[InitDifference], room: int) -> list[str]:
    """Does pretraining help? The longest wording that fits LINES lines of `room` characters, else the shortest."""
    words = ""
    for words in _wordings(differences):
        if len(words) <= LINES * (room + 1) and len(wrapped(words, room)) <= LINES:
            break
    return wrapped(words, room)


def _wordings(differences: Sequence[InitDifference]) -> Iterator[str]:
    """Wordings of the answer, from long to short; of many differences only the one that counts them."""
    many = len(differences) > MANY
    if not many:
        yield answer(differences)
    if not differences:
        return
    named = list(zip(differences, places_in_words(differences, epochs=False), strict=True))
    for details in DETAILS[-1:] if many else DETAILS:
        clauses, units = [], True  # only the first number shows the unit
        for kind, detail in details.items():
            mine = [(found, name) for found, name in named if found.verdict == kind]
            if mine and detail == "number":
                clauses.append(f"{KINDS[kind]} in {len(mine)} of {len(named)} comparisons{_range(kind, mine)}.")
            elif mine:
                told = [_figures(*one, detail, units=units and one is mine[0]) for one in mine]
                clauses.append(f"{KINDS[kind]}: {', '.join(told)}.")
                units = False
        yield " ".join([ASKED, *clauses, speaks_of(differences)])


def _range(kind: str, mine: Sequence[tuple[InitDifference, str]]) -> str:
    """The range of gains or losses in points; "" for chance."""
    sizes = sorted(abs(100 * found.difference) for found, _ in mine)
    return "" if kind == "chance" else f", by {sizes[0]:.1f} to {sizes[-1]:.1f} points"


def _figures(found: InitDifference, name: str, detail: str, *, units: bool) -> str:
    """A difference with its name, in points: "kNN +12.7 (+8.0 to +17.2)"."""
    points = f"{name} {100 * found.difference:+.1f}{' points' * units}"
    if detail == "points":
        return points
    return f"{points} ({'95 % interval ' * units}{100 * found.low:+.1f} to {100 * found.high:+.1f})"
