"""Which evaluations of a project are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sslcli.comparison.differences import (
    in_order,
)
from sslcli.errors import StateError
from sslcli.evaluation.protocols import evaluations
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_study


def choose(registry: Registry, *, study: str | None, everything: bool = False) -> tuple[list[Run], list[str]]:
    """The finished evaluations of the study that was asked for, else of the newest; and the names of other studies.

    Evaluations of earlier epochs' checkpoints are among them only if everything is asked for.
    """
    every = registry.runs()
    runs = [run for run in every if run.experiment in evaluations() and run.status in ("finished", "published")]
    runs = [run for run in runs if everything or run.at_epoch is None]
    if not runs:
        commands = f"{registry.command('ssl study')}, or: {registry.command('ssl probe')}"
        raise StateError(f"there is no finished evaluation in {registry.root}; to make some, type: {commands}")
    studies = list(dict.fromkeys(run.study or "" for run in runs))
    if study is not None and study not in studies:
        raise StateError(f"no study is called {study!r}; there are: {', '.join(filter(None, studies)) or 'none'}")
    wanted = (newest_study(runs) if study is None and not everything else study) or ""
    within = [run for run in runs if (run.study or "") == wanted]
    whole = everything and study is None
    chosen = runs if whole else within if everything else newest(within, {run.id: run.setup for run in every})
    return sorted(chosen, key=in_order), [] if whole else [name for name in studies if name != wanted]


def newest(runs: Iterable[Run], setups: dict[str, str | None]) -> list[Run]:
    """Of runs with equal options, those of the pretraining included, the newest alone; `setups` are those of runs by id."""

    def same(run: Run) -> tuple[Any, ...]:
        parent = run.parent and (setups.get(run.parent) or run.parent)
        return run.experiment, run.pair or run.id, run.init, parent, run.at_epoch

    return list({same(run): run for run in runs}.values())
