"""A card for people: one sentence, and tables of at most 100 columns or in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sslcli.cards.card import Card
from sslcli.cards.sturdiness import Gap, Sturdy
from sslcli.console.messages import WIDEST, room_across, wrapped
from sslcli.console.tables import markdown_of, print_within
from sslcli.data.corruptions import CORRUPTIONS, SEVERITIES
from sslcli.evaluation.naming import heading
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.runs.naming import INIT_WORDS

QUESTION = "Does pretraining without labels make it sturdier?"
WORDS = {
    (1, -1): "yes, it is more accurate on corrupted pictures and loses less",
    (1, 0): "more accurate on corrupted pictures, but it is not shown to lose less",
    (1, 1): "more accurate on corrupted pictures, but it loses more",
    (0, -1): "it loses less, but is not shown to be more accurate on corrupted pictures",
    (0, 0): "no difference that can be told from chance",
    (0, 1): "no, it loses more",
    (-1, -1): "it loses less, but is less accurate on corrupted pictures",
    (-1, 0): "no, it is less accurate on corrupted pictures",
    (-1, 1): "no, it is less accurate on corrupted pictures and loses more",
}
"""The answer by the signs of two differences to scratch: in accuracy with corruptions, and in what these cost."""
GAPS = {"clean": "clean", "corrupted": "with corruptions", "loss": "lost by corruption"}
PLAINLY = (
    "Differences are in points, of classifiers on the same images, with 95 % intervals over images. One seed: they hold for "
    "these encoders. Calibration errors have no interval."
)
MADE_HERE = (
    "The corruptions are made by ssl with the published parameters for 32 pixels; frost is a made texture, where the authors "
    "used photographs."
)
BY_SEVERITY = {"arm": "classifier", "0_acc": "clean", "1_acc": "severity 1"} | {f"{at}_acc": str(at) for at in SEVERITIES[1:]}
"""Columns with a number when clean and at each severity; a key that ends in acc is set to the right."""
Row = Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A table: what it shows, its rows, and its columns with their headings."""

    title: str
    rows: Sequence[Row]
    columns: Mapping[str, str]


def verdict(card: Card) -> str:
    """The answer in a sentence for each protocol: accuracy under corruption, and what corruption costs, beside scratch."""
    own = {row.arm for row in card.sturdiness if (row.init or "").startswith(INIT_WORDS[0])}  # also continued from others
    told = [
        _told(gap, next(other for other in card.gaps if (other.what, other.first) == ("loss", gap.first)), card.sturdiness)
        for gap in card.gaps
        if gap.what == "corrupted" and gap.first in own
    ]  # fmt: skip
    if not told:
        return f"{QUESTION} This cannot be said: there is no finished partner from scratch."
    return f"{QUESTION} {' '.join(told)}"


def _told(corrupted: Gap, loss: Gap, rows: Sequence[Sturdy]) -> str:
    name = PROTOCOLS[corrupted.protocol].name if corrupted.protocol in PROTOCOLS else corrupted.protocol
    lost = [100 * next(row.loss for row in rows if row.arm == arm) for arm in (loss.first, loss.second)]
    answer = WORDS[_direction(corrupted), _direction(loss)]
    return (
        f"{heading(name)}: {answer}. With corruptions its accuracy is {_words(corrupted)} beside scratch. "
        f"Corruption costs it {lost[0]:.1f} points, scratch {lost[1]:.1f}: {_words(loss)}."
    )


def _direction(gap: Gap) -> int:
    """1 if the difference is above 0, -1 if below, 0 if that cannot be told."""
    return 1 if gap.low > 0 else -1 if gap.high < 0 else 0


def _words(gap: Gap) -> str:
    return f"{100 * gap.value:+.1f} points (95 % interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f})"


def _points(gap: Gap) -> str:
    return f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def tables(card: Card) -> list[Shown]:
    """The tables of a card that have rows; accuracies in per cent."""
    made = [_by_severity(card), _gaps(card), _by_kind(card), _archive(card), _calibration(card), *_elsewhere(card)]
    return [table for table in made if table.rows]


def _by_severity(card: Card) -> Shown:
    rows = [
        {
            "arm": row.arm, "0_acc": _share(row.clean.value), "mean_acc": _share(row.corrupted.value),
            "lost_acc": _share(row.loss), **{f"{at}_acc": _share(row.severities[at - 1].value) for at in SEVERITIES},
        } for row in card.sturdiness
    ]  # fmt: skip
    columns = BY_SEVERITY | {"mean_acc": "mean of 1 to 5", "lost_acc": "lost"}
    return Shown("Accuracy in per cent, as the mean over the 15 corruptions", rows, columns)


def _gaps(card: Card) -> Shown:
    rows = [
        {"first": f"{gap.first} - {gap.second.partition(',')[0]}", "what": GAPS.get(gap.what, gap.what), "points": _points(gap)}
        for gap in card.gaps
    ]
    return Shown("Differences to scratch, in points", rows, {"first": "classifiers", "what": "of", "points": "difference"})


def _by_kind(card: Card) -> Shown:
    rows = [{"kind": kind} | {f"{row.arm}_acc": _share(row.kinds[kind]) for row in card.sturdiness} for kind in CORRUPTIONS]
    return Shown("Accuracy in per cent by corruption, as the mean over severities", rows, _columns(card, "kind", "corruption"))


def _archive(card: Card) -> Shown:
    """How far our corruptions are from the published images: accuracy there, and ours minus that, in points."""
    published = {row.arm: row.kinds for row in card.sturdiness}

    def cell(arm: str, kinds: Sequence[str]) -> str:
        there, here = (fmean(of[kind] for kind in kinds) for of in (published[arm], card.ours[arm]))
        return f"{_share(there)} ({100 * (here - there):+.1f})"

    groups = {kind: [kind] for kind in CORRUPTIONS} | {"mean of all": list(CORRUPTIONS)}
    rows = [
        {"kind": name} | {f"{arm}_acc": cell(arm, kinds) for arm in card.ours} for name, kinds in groups.items() if card.ours
    ]
    title = f"{card.archive}: accuracy in per cent, and in brackets how many points higher it is on images made here"
    return Shown(title, rows, _columns(card, "kind", "corruption"))


def _calibration(card: Card) -> Shown:
    rows = [
        {"arm": row.arm, "0_acc": _share(row.clean_ece)} | {f"{at}_acc": _share(row.ece[at - 1]) for at in SEVERITIES}
        for row in card.sturdiness
    ]
    return Shown("Calibration error (ECE) in points", rows, BY_SEVERITY)


def _elsewhere(card: Card) -> list[Shown]:
    titles = {
        "accuracy": "Accuracy in per cent on other pictures of the same classes",
        "transfer": "Transfer: linear evaluation of the encoders on other data sets, test accuracy in per cent",
        "kNN distance": "Other data sets told from own test images by the distance of h: AUROC in per cent",
        "low confidence": "The same by low confidence: AUROC in per cent",
    }
    made = []
    for what, title in titles.items():
        found = [one for one in card.elsewhere if one.what == what]
        names = dict.fromkeys(one.dataset for one in found)
        rows = [{"set": name} | {f"{one.arm}_acc": _share(one.value) for one in found if one.dataset == name} for name in names]
        made.append(Shown(title, rows, _columns(card, "set", "data set")))
    return made


def _columns(card: Card, key: str, words: str) -> dict[str, str]:
    return {key: words} | {f"{row.arm}_acc": row.arm for row in card.sturdiness}


def _measured(card: Card) -> str:
    all_of = card.images == card.test_images
    some = f"all {card.images:,} test images" if all_of else (
        f"{card.images:,} of the {card.test_images:,} test images, drawn by seed {card.seed}"
    )  # fmt: skip
    method = f", {card.method}" if card.method else ""
    return f"{card.dataset}, {card.backbone}{method}: {some}."


def notes(card: Card) -> str:
    """How the numbers are made, in sentences."""
    source = f"The corrupted images are the published ones of {card.archive}." if card.archive else MADE_HERE
    many = f" There are {len(card.gaps)}: of 20 differences without an effect about one lies outside of its interval."
    return f"{source} {PLAINLY}{many * (len(card.gaps) > 1)}"


def print_card(card: Card) -> None:
    """The answer and every table, on lines of at most 100 characters."""
    room = min(WIDEST, room_across())
    for text in (verdict(card), _measured(card)):
        print("\n".join(wrapped(text, room)))
    for table in tables(card):
        print()
        print("\n".join(wrapped(table.title, room)))
        print_within(table.rows, table.columns, room=room, gap=2)
    print()
    print("\n".join(wrapped(notes(card), room)))


def markdown(card: Card) -> str:
    """The whole card as a page in Markdown, beside its figure."""
    runs = "\n".join(f"- {row.arm}: `{row.run}`" for row in card.sturdiness)
    parts = [f"# Card of {card.run}", verdict(card), _measured(card), "![Accuracy by severity](severity.png)"]
    parts += [f"## {table.title}\n\n{markdown_of(table.rows, table.columns)}" for table in tables(card)]
    made = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    parts += [f"## How it was made\n\n{notes(card)}\n\n{runs}\n\nMade by `{card.command}` on {card.device}; {made}."]
    return "\n\n".join(parts) + "\n"
