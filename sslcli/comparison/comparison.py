"""Compare a study: a row for each run, a difference for each setting, and the answer. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sslcli.comparison.answer import answer
from sslcli.comparison.differences import (
    difference_of,
    in_order,
    over_settings,
    pair_up,
)
from sslcli.comparison.options_apart import NO_SETTINGS, Settings, settings_in_words
from sslcli.comparison.rows import EvaluationRow, row_of
from sslcli.console.messages import WIDEST, room_across, say, wrapped
from sslcli.errors import StateError, did_you_mean
from sslcli.evaluation.protocols import evaluations
from sslcli.evaluation.statistics import InitDifference
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.next_step import evaluation_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_study

if TYPE_CHECKING:
    from sslcli.comparison.arms import ArmDifference
    from sslcli.comparison.ranked import Ranking


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A study's numbers: a row for each run, as in `--format json`, a difference for each setting, and the answer.

    `rankings` has the methods of each kind of evaluation, the best first, if there are several; the encoders, if some are from
    elsewhere. `beside` has own pretraining minus each encoder from elsewhere.
    """

    rows: list[EvaluationRow]
    differences: list[InitDifference]
    answer: str
    rankings: list[Ranking]
    beside: list[ArmDifference] = field(default_factory=list)


class Chosen(NamedTuple):
    """The runs to compare, the names of other studies, and the ids of all runs (a shortened id must be unique among them)."""

    runs: list[Run]
    others: list[str]
    ids: list[str]


def compared(
    registry: Registry, study: str | None, *, everything: bool = False, without_duplicates: bool = False
) -> Comparison:
    """The numbers of a study, by default the newest; a StateError if there is no finished evaluation."""
    chosen = chosen_runs(registry, study, everything=everything, without_duplicates=without_duplicates).runs
    return compared_runs(registry, chosen)[0]


def compared_runs(registry: Registry, chosen: list[Run]) -> tuple[Comparison, dict[str, str | None], Settings, set[str]]:
    """The comparison of these runs, the setups of their pretrainings, their settings, and which are compared as encoders."""
    setups = pretrain_setups(registry, chosen)
    settings = settings_in_words(registry, chosen, setups)
    found = results(chosen, setups, settings)
    if not any(run.init not in (None, *INIT_WORDS) for run in chosen):
        return found, setups, settings, set()
    from sslcli.comparison.arms import compare_encoders  # imports numpy, which only this needs

    rankings, beside, ids = compare_encoders(registry, chosen, setups, settings)
    return replace(found, rankings=rankings or found.rankings, beside=beside), setups, settings, ids


def chosen_runs(registry: Registry, study: str | None, *, everything: bool, without_duplicates: bool) -> Chosen:
    """The runs from `choose`; `without_duplicates` with metrics on the other test images."""
    chosen = choose(registry, study=study, everything=everything)
    if without_duplicates:
        from sslcli.comparison.without_duplicates import leave_out_duplicates  # imports numpy, which only this needs

        chosen = chosen._replace(runs=leave_out_duplicates(registry, chosen.runs))
    return chosen


def results(chosen: list[Run], setups: dict[str, str | None], settings: Settings = NO_SETTINGS) -> Comparison:
    """The comparison of these runs."""
    groups = over_settings(pair_up(chosen)[0], setups)
    differences = [difference_of(pairs, settings.get(pairs[0][0].id)) for pairs in groups]
    return Comparison(
        rows=[row_of(run, settings) for run in chosen], differences=differences, answer=answer(differences),
        rankings=_ranked(chosen, setups, settings),
    )  # fmt: skip


def _ranked(chosen: list[Run], setups: dict[str, str | None], settings: Settings) -> list[Ranking]:
    """The rankings, if there are several methods."""
    if len({run.encoder_method or run.init for run in chosen if run.init not in (None, "scratch")}) < 2:
        return []
    from sslcli.comparison.ranking import rankings  # most studies have one method and do not need this import

    return rankings(chosen, setups, settings)


def pretrain_setups(registry: Registry, chosen: list[Run]) -> dict[str, str | None]:
    """The setups of the pretrain runs that evaluations start from; the index is read only if there are some."""
    if not any(run.parent for run in chosen):
        return {}
    return {run.id: run.setup for run in registry.runs() if run.experiment == "pretrain"}


def choose(registry: Registry, *, study: str | None, everything: bool = False) -> Chosen:
    """The finished evaluations of the named study, by default of the newest.

    Evaluations of earlier epochs' checkpoints are included only if everything is asked for. The metrics of an evaluation in
    folds are those of the folds.
    """
    every = registry.runs()
    runs = [run for run in every if run.experiment in evaluations() and run.status in ("finished", "published")]
    runs = [run for run in runs if everything or run.at_epoch is None]
    if not runs:
        advice = evaluation_command(registry)
        raise StateError(f"there is no finished evaluation in {registry.root}; to get one, type: {advice}")
    studies = list(dict.fromkeys(run.study or "" for run in runs))
    if study is not None and study not in studies:
        names = [name for name in studies if name]
        known = f"{did_you_mean(study, names)}there are: {', '.join(names) or 'none'}"
        raise StateError(f"no study is called {study!r}; {known}; to see all runs, type: ssl runs list")
    wanted = (newest_study(runs) if study is None and not everything else study) or ""
    within = [run for run in runs if (run.study or "") == wanted]
    whole = everything and study is None
    if study is None and not everything:
        _tell_of_unfinished(registry, every, studies, wanted)
    chosen = runs if whole else within if everything else newest(within, {run.id: run.setup for run in every})
    others = [] if whole else [name for name in studies if name != wanted]
    if any("folds_acc" in run.metrics for run in chosen):
        from sslcli.comparison.in_folds import with_folds  # imports numpy, which only this needs

        chosen = with_folds(registry, chosen)
    return Chosen(sorted(chosen, key=in_order), others, [run.id for run in every])


def _tell_of_unfinished(registry: Registry, every: list[Run], finished: list[str], shown: str) -> None:
    """Say so, once, if the newest study of the project has no finished evaluation, so that an older one is shown."""
    newest_here = next((run.study for run in reversed(every) if run.study and run.status != "published"), None)
    if newest_here and newest_here not in finished:
        instead = f"study {shown}" if shown else "the runs of no study"
        command = registry.command(f"ssl status --study {newest_here}")
        text = (
            f"showing {instead}: {newest_here} has no finished evaluation yet; to see how {newest_here} stands, type: {command}"
        )
        if text not in registry.told:
            registry.told.add(text)
            say("\n".join(wrapped(text, min(WIDEST, room_across()))))


def newest(runs: Iterable[Run], setups: dict[str, str | None]) -> list[Run]:
    """Only the newest of runs with equal options, including those of the pretraining; `setups` are the setups by run id."""

    def same(run: Run) -> tuple[Any, ...]:
        parent = run.parent and (setups.get(run.parent) or run.parent)
        return run.experiment, run.pair or run.id, run.init, parent, run.at_epoch

    return list({same(run): run for run in runs}.values())
