"""The page's pictures beyond accuracy, drawn from the test logits that a study's evaluations saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from sslcli.comparison.arms import arm_words, others_beside
from sslcli.comparison.differences import pair_up
from sslcli.evaluation.naming import heading, in_words
from sslcli.evaluation.protocols import protocol_named
from sslcli.evaluation.quality import quality
from sslcli.evaluation.test_logits import Kept
from sslcli.figures.quality import Judged, draw_confusion, draw_reliability, draw_risk_coverage
from sslcli.report.class_sizes import kept_of
from sslcli.report.embedded import Picture, picture_of
from sslcli.report.tested import tested_by
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def quality_figures(registry: Registry, chosen: Sequence[Run]) -> list[Picture]:
    """Reliability, confusions, and risk over coverage of the first pair of each protocol that has saved its logits, and of the
    encoders from elsewhere beside it.

    The first pair has the most labels. Evaluations in folds show all labelled images. Outputs that are not probabilities, like
    those of kNN, have only confusions.
    """
    groups: dict[str | None, list[tuple[Run, Kept]]] = {}
    for pair in pair_up(list(chosen))[0]:
        pair_kept = _with_logits(registry, pair)
        if len(pair_kept) == len(pair) and pair[0].protocol not in groups:
            groups[pair[0].protocol] = pair_kept + _with_logits(registry, others_beside(registry, pair[0], chosen))
    return [picture for group in groups.values() for picture in _of_group(registry, group)]


def _with_logits(registry: Registry, runs: Sequence[Run]) -> list[tuple[Run, Kept]]:
    return [(run, kept) for run in runs if (kept := kept_of(registry, run)) is not None]


def _of_group(registry: Registry, group: Sequence[tuple[Run, Kept]]) -> Iterator[Picture]:
    encoders = arm_words(run.init for run, _ in group)
    judged = [
        Judged(encoders.get(run.init or "", run.id), quality(mine.logits, mine.labels), look=look)
        for look, (run, mine) in enumerate(group)
    ]
    first, kept = group[0]
    names = record_or_index(registry, first).data.get("classes") or [str(label) for label in range(kept.logits.shape[1])]
    words = heading(in_words(first.experiment, first.label_fraction, first.at_epoch, first.protocol))
    ids, where = "; ".join(run.id for run, _ in group), tested_by(first)

    def picture(figure: Figure, kind: str) -> Picture:
        return picture_of(figure, name=f"{kind}_{first.protocol}.png", description=f"{heading(where)}. Runs: {ids}")

    yield picture(draw_confusion(judged, classes=names, title=f"{words}: confusions", subtitle=where), "confusion")
    if protocol_named(first.protocol, first.experiment).probabilities:
        yield picture(draw_reliability(judged, title=f"{words}: is the confidence true?", subtitle=where), "reliability")
        yield picture(draw_risk_coverage(judged, title=f"{words}: risk over coverage", subtitle=where), "risk")
