"""The plot of a study's differences as SVG, for a README, on light and on dark background."""

from __future__ import annotations

from pathlib import Path

from sslcli.comparison.answer import places_in_words, speaks_of
from sslcli.comparison.comparison import compared
from sslcli.comparison.rows import EvaluationRow
from sslcli.errors import StateError
from sslcli.evaluation.naming import heading
from sslcli.evaluation.statistics import InitDifference
from sslcli.figures.canvas import save_svgs
from sslcli.figures.forest import Bar, draw_forest
from sslcli.runs.registry import Registry


def save_differences(registry: Registry, study: str | None, folder: Path) -> list[Path]:
    """Write differences_light.svg and differences_dark.svg of a study, else of the newest; returns their paths.

    Published runs have differences too. A StateError if there is none, or they cannot be written.
    """
    comparison = compared(registry, study)
    found = comparison.differences
    if not found:
        raise StateError(f"there is no difference to draw: {comparison.answer}")
    bars = bars_of(found)
    description = "; ".join(f"{bar.label} {bar.value:+.2f} ({bar.low:+.2f} to {bar.high:+.2f})" for bar in bars)
    figure = draw_forest(bars, subtitle=f"{_setting(comparison.rows)}. {speaks_of(found)}")
    return save_svgs(figure, folder / "differences", description=description)


def bars_of(found: list[InitDifference]) -> list[Bar]:
    """The differences as bars, in points."""
    return [
        Bar(heading(place), 100 * one.difference, 100 * one.low, 100 * one.high, one.verdict)
        for place, one in zip(places_in_words(found), found, strict=True)
    ]


def _setting(rows: list[EvaluationRow]) -> str:
    """The setting of all rows: data sets, backbones, methods."""
    values = [
        dict.fromkeys(str(value) for row in rows if (value := getattr(row, key))) for key in ("dataset", "backbone", "method")
    ]
    return ", ".join("/".join(known) for known in values if known)
