"""Select runs of a project: those of a study, the newest pairs, a run's descendants. Imports no torch."""

from __future__ import annotations

from sslcli.console.messages import WIDEST, room_across, say, wrapped
from sslcli.errors import StateError, did_you_mean
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.registry import Registry
from sslcli.runs.run import EXPERIMENTS, Run


def study_runs(registry: Registry, study: str | None) -> list[Run]:
    """The runs of a study made here (default: the newest study), oldest first. A StateError if there are none."""
    own = [run for run in registry.runs() if run.status != "published"]
    if not own:
        raise StateError(
            f"there are no runs with files in {registry.root}; to make some, type: {registry.command('ssl study')}"
        )
    wanted = newest_study([run for run in own if run.at_epoch is None] or own) if study is None else study
    if chosen := [run for run in own if run.study == wanted]:
        return chosen
    names = dict.fromkeys(run.study for run in own if run.study)
    near = did_you_mean(study or "", names)
    raise StateError(f"no study made here is called {study!r}; {near}there are: {', '.join(names) or 'none'}")


def newest_study(runs: list[Run]) -> str | None:
    """The study to show if none was named; None: the runs without a study. Says so if it passes over something newer.

    Runs without a study that are newer than the newest study are shown instead if they contain a finished pair.
    """
    studies = list(dict.fromkeys(run.study for run in reversed(runs) if run.study))
    alone = [run for run in runs if run.study is None]
    newer = runs[max((place for place, run in enumerate(runs, 1) if run.study), default=0) :]
    if not studies or not newer:
        return runs[-1].study
    evaluations = [run for run in alone if run.experiment != "pretrain" and run.status == "finished"]
    if any(has_partner(run, evaluations) for run in newer if run in evaluations):
        return None
    others = [f"{len(alone)} run{'s' * (len(alone) > 1)} of no study", *(f"study {name}" for name in studies[1:])]
    passed_over = f"showing study {studies[0]}; there are also: {', '.join(others)} (ssl runs list)"
    say("\n".join(wrapped(passed_over, min(WIDEST, room_across()))))
    return studies[0]


def has_partner(run: Run, evaluations: list[Run]) -> bool:
    """Whether `evaluations` contain the partner of an evaluation, pretrained or scratch."""
    return any(other.pair == run.pair and {other.init, run.init} == set(INIT_WORDS) for other in evaluations)


def newest_pairs(runs: list[Run]) -> list[list[Run]]:
    """The newest run (finished if possible) for each protocol, label fraction and method, and its partner; pretrained first.

    If nothing was pretrained here, others' weights are paired with scratch. Probes of earlier epochs are left out. One
    scratch run may be the partner of runs of several methods.
    """
    kinds: dict[tuple[str | None, ...], list[Run]] = {}
    for run in (run for run in runs if run.at_epoch is None):
        kinds.setdefault((run.experiment, run.protocol, str(run.label_fraction)), []).append(run)
    pairs = [_newest_pair(alike, method) for alike in kinds.values() for method in _methods(alike)]
    order = [*EXPERIMENTS]
    return sorted(pairs, key=lambda pair: (order.index(pair[0].experiment), -(pair[0].label_fraction or 1)))


def _methods(runs: list[Run]) -> list[str | None]:
    """The methods of runs, the newest first; only None if no run has one."""
    return list(dict.fromkeys(run.encoder_method for run in reversed(runs) if run.encoder_method)) or [None]


def _newest_pair(alike: list[Run], method: str | None) -> list[Run]:
    """The newest of the runs of one kind, without those of other methods, and its partner; pretrained first."""
    several = len(_methods(alike)) > 1
    shown = [run for run in alike if run.encoder_method in (method, None)]

    def rank(run: Run) -> tuple[bool, bool, bool]:
        own = run.experiment == "pretrain" or run.init in INIT_WORDS
        return several and run.encoder_method == method, own, run.status == "finished"

    pair: list[Run] = []
    for run in sorted(shown, key=rank)[::-1]:
        one_is_scratch = [run.init, *(other.init for other in pair)].count("scratch") == 1
        if not pair or (len(pair) == 1 and run.pair == pair[0].pair and one_is_scratch):
            pair.append(run)
    return sorted(pair, key=lambda run: run.init == "scratch")


def state_of(registry: Registry, run: Run) -> str:
    """The status of a run; for a run on another machine also where and when it was seen."""
    return " ".join(filter(None, (registry.status(run), registry.elsewhere(run))))


def descendants(registry: Registry, ancestor: Run) -> list[Run]:
    """A run and all its descendants, itself first."""
    found = [ancestor]
    for run in registry.runs():  # oldest first, so a parent comes before its children
        if run.parent in {other.id for other in found}:
            found.append(run)
    return found
