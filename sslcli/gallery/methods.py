"""A picture for each ranking of a study's methods."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

from sslcli.comparison.comparison import Comparison, compared
from sslcli.comparison.ranked import Ranked, Ranking
from sslcli.comparison.ranking_rows import correction_of, heading_of
from sslcli.evaluation.naming import tested
from sslcli.figures.by_method import MethodRow, draw_methods
from sslcli.figures.canvas import save_picture
from sslcli.runs.naming import share_label
from sslcli.runs.registry import Registry


def save_methods(registry: Registry, study: str, *, out: Path) -> list[Path]:
    """The pictures `out`/methods/PROTOCOL.png of a study's rankings; returns their paths, none for a study of one method."""
    found, written = compared(registry, study), []
    for ranking in found.rankings:
        title = f"{heading_of(ranking)}: {ranking.dataset}"
        figure = draw_methods(
            [_row(one, found, ranking) for one in ranking.methods], title=title, subtitle=_subtitle(found, ranking),
            scratch=_scratch(found, ranking),
        )  # fmt: skip
        name = f"{ranking.protocol or ranking.experiment}{share_label(ranking.label_fraction)} {ranking.setting or ''}".rstrip()
        path = out / "methods" / f"{re.sub('[^a-z0-9.]+', '_', name.lower())}.png"
        save_picture(figure, path, description=f"Runs: {', '.join(run for one in ranking.methods for run in one.runs)}")
        written.append(path)
    return written


def _row(ranked: Ranked, found: Comparison, ranking: Ranking) -> MethodRow:
    best = ranking.methods[0].mean
    low, high = (None if end is None else 100 * (best + end) for end in (ranked.low, ranked.high))
    seeds = [100 * float(getattr(row, ranking.metric)) for row in found.rows if row.run in ranked.runs]
    return MethodRow(ranked.method, 100 * ranked.mean, seeds, low, high, ranked.is_worse)


def _scratch(found: Comparison, ranking: Ranking) -> float | None:
    """The mean accuracy from scratch in the same evaluation, in per cent; None if there is no such run."""
    known = [getattr(row, ranking.metric) for row in found.rows if row.run in ranking.scratch]
    return 100 * fmean(known) if known else None


def _subtitle(found: Comparison, ranking: Ranking) -> str:
    best = next(row for row in found.rows if row.run in ranking.methods[0].runs)
    where = f"On {tested(best.test_images, best.folds)}. " if best.test_images else ""
    counts = sorted({len(one.seeds) for one in ranking.methods})
    words = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    each = "one seed" if counts == [1] else f"mean over {words} seeds"
    return f"{where}Each {ranking.noun}: {each}. {correction_of(ranking)}"
