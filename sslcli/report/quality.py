"""The page's pictures beyond accuracy, drawn from the test logits that a study's evaluations saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from sslcli.comparison.differences import Pair, pair_up
from sslcli.evaluation.naming import heading, in_words
from sslcli.evaluation.protocols import protocol_named
from sslcli.evaluation.quality import quality
from sslcli.evaluation.test_logits import FILE, read_kept
from sslcli.figures.quality import Judged, draw_confusion, draw_reliability, draw_risk_coverage
from sslcli.report.embedded import Picture, picture_of
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def quality_figures(registry: Registry, chosen: Sequence[Run]) -> list[Picture]:
    """Reliability, confusions, and risk over coverage of the first pair of each protocol that has saved its test logits.

    The first pair has the most labels. Outputs that are not probabilities, like those of kNN, have only confusions.
    """
    pairs: dict[str | None, Pair] = {}
    for pair in pair_up(list(chosen))[0]:
        if all(registry.path(f"{run.folder}/{FILE}").exists() for run in pair):
            pairs.setdefault(pair[0].protocol, pair)
    return [picture for pair in pairs.values() for picture in _of_pair(registry, pair)]


def _of_pair(registry: Registry, pair: Pair) -> Iterator[Picture]:
    kept = [read_kept(registry.path(f"{run.folder}/{FILE}")) for run in pair]
    judged = [
        Judged(run.init or run.id, quality(mine.logits, mine.labels), look=look)
        for look, (run, mine) in enumerate(zip(pair, kept, strict=True))
    ]
    first = pair[0]
    names = record_or_index(registry, first).data.get("classes") or [str(label) for label in range(kept[0].logits.shape[1])]
    words = in_words(first.experiment, first.label_fraction, first.at_epoch, first.protocol)
    words, runs = heading(words), f"{pair[0].id}; {pair[1].id}"

    def picture(figure: Figure, kind: str) -> Picture:
        return picture_of(figure, name=f"{kind}_{first.protocol}.png", description=f"Runs: {runs}")

    yield picture(draw_confusion(judged, classes=names, title=f"{words}: confusions", subtitle=runs), "confusion")
    if protocol_named(first.protocol, first.experiment).probabilities:
        yield picture(draw_reliability(judged, title=f"{words}: is the confidence true?", subtitle=runs), "reliability")
        yield picture(draw_risk_coverage(judged, title=f"{words}: risk over coverage", subtitle=runs), "risk")
