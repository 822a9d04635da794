"""The files of a card: card.json, card.md and severity.png, in results/cards/<run id>/."""

from __future__ import annotations

from pathlib import Path

from sslcli.cards.card import Card, CardWanted, json_of, make_card
from sslcli.cards.layout import markdown, print_card, verdict
from sslcli.console.messages import say
from sslcli.figures.canvas import save_picture
from sslcli.figures.severity import Falling, draw_severity
from sslcli.files import write_text
from sslcli.paths import relative
from sslcli.runs.registry import Registry


def make_and_show(registry: Registry, selector: str, wanted: CardWanted, *, style: str) -> None:
    """Measure a run and its partners, write the card's files, and print it: as tables, or with `style` json."""
    card = make_card(registry, selector, wanted)
    written = save_card(registry, card)
    if style == "json":
        print(json_of(card), end="")
    else:
        print_card(card)
    say(f"wrote {', '.join(relative(path) for path in written)}")


def save_card(registry: Registry, card: Card) -> list[Path]:
    """Write the files of a card, each whole or not at all; returns their paths."""
    folder = registry.path(f"results/cards/{card.run}")
    figure = draw_severity(
        [Falling(row.arm, [(at.value, at.low, at.high) for at in (row.clean, *row.severities)]) for row in card.sturdiness],
        title=f"Accuracy on corrupted images ({card.backbone} on {card.dataset})",
        subtitle=f"mean over 15 corruptions, {card.images:,} test images, 95 % intervals over images",
    )  # fmt: skip
    save_picture(figure, folder / "severity.png", description=f"{verdict(card)} Runs: {_runs(card)}")
    write_text(folder / "card.md", markdown(card))
    write_text(folder / "card.json", json_of(card))
    return [folder / name for name in ("card.md", "card.json", "severity.png")]


def _runs(card: Card) -> str:
    return ", ".join(row.run for row in card.sturdiness)
