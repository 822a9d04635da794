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
from sslcli.evaluation.protocols import PROTOCOLS

QUESTION = "Does pretraining without labels make it sturdier?"
GAPS = {"clean": "clean", "corrupted": "with corruptions", "loss": "lost by corruption"}
PLAINLY = (
    "Differences are in points, of classifiers on the same images, with 95 % intervals over images. One seed: they hold for "
    "these encoders. Calibration errors have no interval."
)
MADE_HERE = (
    "The corruptions are made by ssl with the published parameters for 32 pixels; frost is a made texture, where the authors "
    "used photographs."
)
Row = Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A table: what it shows, its rows, and its columns with their headings."""

    title: str
    rows: Sequence[Row]
    columns: Mapping[str, str]


def verdict(card: Card) -> str:
    """The answer in a sentence for each protocol: accuracy under corruption, and what corruption costs, beside scratch."""
    told = [
        _told(gap, next(other for other in card.gaps if (other.what, other.first) == ("loss", gap.first)), card.sturdiness)
        for gap in card.gaps
        if gap.what == "corrupted" and gap.first.startswith("pretrained")
    ]  # fmt: skip
    if not told:
        return f"{QUESTION} This cannot be said: there is no finished partner from scratch."
    return f"{QUESTION} {' '.join(told)}"


def _told(corrupted: Gap, loss: Gap, rows: Sequence[Sturdy]) -> str:
    name = PROTOCOLS[corrupted.protocol].name if corrupted.protocol in PROTOCOLS else corrupted.protocol
    better, costs = _direction(corrupted), _direction(loss)
    word = {
        (1, -1): "Yes", (1, 0): "Yes", (0, -1): "Perhaps", (0, 0): "It cannot be told from chance", (0, 1): "No",
        (1, 1): "More accurate, but not sturdier", (-1, 1): "No", (-1, 0): "No", (-1, -1): "Less accurate, but it loses less",
    }[better, costs]  # fmt: skip
    lost = [100 * next(row.loss for row in rows if row.arm == arm) for arm in (loss.first, loss.second)]
    return (
        f"{word} ({name}): with corruptions {_points(corrupted)} points beside scratch; corruption costs {lost[0]:.1f} points "
        f"of accuracy, from scratch {lost[1]:.1f} (difference {_points(loss)})."
    )


def _direction(gap: Gap) -> int:
    """1 if the difference is above 0, -1 if below, 0 if that cannot be told."""
    return 1 if gap.low > 0 else -1 if gap.high < 0 else 0


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
            "arm": row.arm, "clean": _share(row.clean.value), "mean": _share(row.corrupted.value), "loss": _share(row.loss),
            **{str(at): _share(row.severities[at - 1].value) for at in SEVERITIES},
        } for row in card.sturdiness
    ]  # fmt: skip
    severities = {str(at): f"severity {at}" if at == 1 else str(at) for at in SEVERITIES}
    columns = {"arm": "classifier", "clean": "clean", **severities, "mean": "mean of 1 to 5", "loss": "lost"}
    return Shown("Accuracy in per cent, as the mean over the 15 corruptions", rows, columns)


def _gaps(card: Card) -> Shown:
    rows = [
        {"first": f"{gap.first} - {gap.second.partition(',')[0]}", "what": GAPS.get(gap.what, gap.what), "points": _points(gap)}
        for gap in card.gaps
    ]
    return Shown("Differences to scratch, in points", rows, {"first": "classifiers", "what": "of", "points": "difference"})


def _by_kind(card: Card) -> Shown:
    rows = [{"kind": kind} | {row.arm: _share(row.kinds[kind]) for row in card.sturdiness} for kind in CORRUPTIONS]
    return Shown("Accuracy in per cent by corruption, as the mean over severities", rows, _columns(card, "kind", "corruption"))


def _archive(card: Card) -> Shown:
    """How far our corruptions are from the published images: accuracy there, and ours minus that, in points."""
    published = {row.arm: row.kinds for row in card.sturdiness}

    def cell(arm: str, kinds: Sequence[str]) -> str:
        there, here = (fmean(of[kind] for kind in kinds) for of in (published[arm], card.ours[arm]))
        return f"{_share(there)} ({100 * (here - there):+.1f})"

    groups = {kind: [kind] for kind in CORRUPTIONS} | {"mean of all": list(CORRUPTIONS)}
    rows = [{"kind": name} | {arm: cell(arm, kinds) for arm in card.ours} for name, kinds in groups.items() if card.ours]
    title = f"{card.archive}: accuracy in per cent, and in brackets how many points higher it is on images made here"
    return Shown(title, rows, _columns(card, "kind", "corruption"))


def _calibration(card: Card) -> Shown:
    rows = [
        {"arm": row.arm, "clean": _share(row.clean_ece)} | {str(at): _share(row.ece[at - 1]) for at in SEVERITIES}
        for row in card.sturdiness
    ]
    columns = {"arm": "classifier", "clean": "clean", "1": "severity 1"} | {str(at): str(at) for at in SEVERITIES[1:]}
    return Shown("Calibration error (ECE) in points", rows, columns)


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
        rows = [{"set": name} | {one.arm: _share(one.value) for one in found if one.dataset == name} for name in names]
        made.append(Shown(title, rows, _columns(card, "set", "data set")))
    return made


def _columns(card: Card, key: str, heading: str) -> dict[str, str]:
    return {key: heading} | {row.arm: row.arm for row in card.sturdiness}


def _measured(card: Card) -> str:
    some = "all" if card.images == card.test_images else f"{card.images:,} of the"
    method = f", {card.method}" if card.method else ""
    return f"{card.dataset}, {card.backbone}{method}: {some} {card.test_images:,} test images, drawn by seed {card.seed}."


def notes(card: Card) -> str:
    """How the numbers are made, in sentences."""
    source = f"The corrupted images are the published ones of {card.archive}." if card.archive else MADE_HERE
    return f"{source} {PLAINLY}"


def print_card(card: Card) -> None:
    """The answer and every table, on lines of at most 100 characters."""
    room = min(WIDEST, room_across())
    for text in (verdict(card), _measured(card)):
        print("\n".join(wrapped(text, room)))
    for table in tables(card):
        print()
        print("\n".join(wrapped(table.title, room)), end="")
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
