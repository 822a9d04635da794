"""What a person is told who named a run that is not there, or too few letters of one. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sslcli.errors import did_you_mean
from sslcli.runs.run import EXPERIMENTS, WAITING, Run

if TYPE_CHECKING:
    from sslcli.runs.registry import Registry


FIRST = (WAITING, "interrupted", "running")
"""The states of runs that are not finished: the last is told before the others."""


def _kind(experiment: str | None, status: str | None) -> str:
    return " ".join(word for word in (status, experiment, "run") if word)


def none_here(registry: Registry, experiment: str | None, status: str | None) -> str:
    """That there is no such run, and how one comes to be: the newest that is not finished goes on, or a command makes one."""
    return f"there is no {_kind(experiment, status)} in {registry.root}{_how_to_get_one(registry, experiment)}"


def _how_to_get_one(registry: Registry, experiment: str | None) -> str:
    runs = registry.runs()
    begun = [run for run in runs if experiment in (None, run.experiment) and run.status in ("running", "interrupted")]
    if begun:
        newest = max(reversed(begun), key=lambda run: FIRST.index(registry.status(run)))
        state = registry.status(newest)
        word, command = ("see how far it is", "ssl status") if state == "running" else ("go on", f"ssl resume {newest.id}")
        return f" yet: {newest.id} is {state}; to {word}, type: {registry.command(command)}"
    command = registry.command(f"ssl {EXPERIMENTS[experiment or 'pretrain']}")
    if any(run.status != "published" for run in runs):
        return f"; to make one, type: {command}"
    return f"; to make some, type: {registry.command('ssl study')}, or: {command}"


def none_so_called(registry: Registry, runs: Sequence[Run], selector: str, experiment: str | None, status: str | None) -> str:
    """That no run is called so, and which is most like it, by id, name or end of the id; else the newest of `runs`."""
    near = did_you_mean(selector, [word for run in runs for word in (run.id, run.name, run.id.rpartition("-")[2]) if word])
    known, listing = ", ".join(run.id for run in runs[-5:]), registry.command("ssl runs list")
    kind = _kind(experiment, status)
    return f"no {kind} is called {selector!r}; {near}the newest are: {known}. To see all, type: {listing}"


def several(found: Sequence[Run], selector: str) -> str:
    """That several runs match a selector, and the first of them."""
    listed = ", ".join(run.id for run in found[:8]) + (" and others" if found[8:] else "")
    return f"{selector!r} matches {len(found)} runs: {listed}; type more of it"
