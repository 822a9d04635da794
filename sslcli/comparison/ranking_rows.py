"""Print a ranking of methods. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslcli.comparison.ranked import Ranked, Ranking
from sslcli.comparison.rows import GAP
from sslcli.console.messages import WIDEST, room_across, wrapped
from sslcli.console.tables import print_rows, print_within

RANKED = {
    "method": "method", "seeds": "seeds", "mean_acc": "mean", "difference_acc": "minus the best",
    "interval_acc": "95 % interval", "told": "beside the best",
}  # fmt: skip
"""The columns of a ranking with their headings."""


def print_ranking(ranking: Ranking, *, style: str, beside: Sequence[str] = ()) -> None:
    """Print a sentence about the best method, those of `beside`, and the table: as Markdown, or for a terminal."""
    heading, rows, room = heading_of(ranking), ranking_rows(ranking), room_across()
    columns = RANKED | {"method": ranking.noun}
    if style == "markdown":
        print(f"\n### {heading}\n\n{ranking.sentence()}\n")
        print("".join(f"- {words}\n" for words in beside), end="\n" * bool(beside))
        print_rows(rows, columns, style=style)
        print(f"\n{correction_of(ranking)}")
        return
    sentences = [ranking.sentence(), *(f"{words}." for words in beside)]
    print("\n".join(["", heading, *(line for words in sentences for line in wrapped(words, min(WIDEST, room)))]))
    print_within(rows, columns, room=room, gap=GAP)
    print("\n".join(wrapped(correction_of(ranking), min(WIDEST, room))))


def heading_of(ranking: Ranking) -> str:
    """What is ranked, and where, as a heading."""
    return f"{ranking.noun.capitalize()}s in {ranking.place}"


def ranking_rows(ranking: Ranking) -> list[dict[str, Any]]:
    """A row for each method, the best first; accuracies in per cent, differences in points."""
    return [_row(one, is_best=not place) for place, one in enumerate(ranking.methods)]


def _row(ranked: Ranked, *, is_best: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "method": ranked.method,
        "seeds": ", ".join(str(seed) for seed in ranked.seeds if seed is not None),
        "mean_acc": f"{ranked.mean:.2%}" + ("" if ranked.sd is None else f" ± {100 * ranked.sd:.2f}"),
        "bold": is_best,
    }
    if is_best:
        return row
    if ranked.difference is None or ranked.low is None or ranked.high is None:
        return row | {"told": "no seed in common"}
    return row | {
        "difference_acc": f"{100 * ranked.difference:+.2f}",
        "interval_acc": f"{100 * ranked.low:+.2f} to {100 * ranked.high:+.2f}",
        "told": "worse" if ranked.is_worse else "cannot be told",
    }


def correction_of(ranking: Ranking) -> str:
    """A sentence about the correction for the number of comparisons."""
    best = " Accuracies are of the best epoch on the test images." * (ranking.metric == "best_test_acc")
    if not ranking.comparisons:
        return f"Nothing is compared: no two share a seed.{best}"
    pooled = any("seeds" in (one.interval or "") for one in ranking.methods)
    spread = f" The spread over seeds is that of all {ranking.noun}s." * pooled
    if ranking.comparisons < 2:
        return f"One comparison, so no correction.{spread}{best}"
    what = f"{ranking.comparisons} comparisons of two {ranking.noun}s"
    return f"Corrected for {what}: the 95 % intervals (Bonferroni), and who can be told apart (Holm).{spread}{best}"
