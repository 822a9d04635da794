"""Find a run by what a person types: an id, a name, a unique prefix of either, the end of an id, or latest. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslcli.errors import StateError, UsageError, did_you_mean
from sslcli.runs.run import EXPERIMENTS, Run, called

if TYPE_CHECKING:
    from sslcli.runs.registry import Registry


def find_run(registry: Registry, selector: str, *, experiment: str | None, status: str | None) -> Run:
    """The one run that is meant; a StateError if there is none, or several, and a UsageError for an empty selector."""
    of_kind = [run for run in registry.runs() if experiment in (None, run.experiment)]
    runs = [run for run in of_kind if status in (None, run.status)]
    kind = " ".join(word for word in (status, experiment, "run") if word)
    if not runs:
        raise StateError(f"there is no {kind} in {registry.root}{_how_to_get_one(registry, of_kind, experiment or 'pretrain')}")
    if not selector:
        raise UsageError("the name of the run is empty; accepted are an id, a name, a unique prefix of either, and latest")
    if selector == "latest":
        return runs[-1]
    begun = [run for run in runs if run.id.startswith(selector) or (run.name or "").startswith(selector)]
    found = called(runs, selector)[-1:] or begun or [run for run in runs if run.id.endswith(f"-{selector}")]
    if len(found) == 1:
        return found[0]
    if not found:
        near = did_you_mean(selector, [word for run in runs for word in (run.id, run.name, run.id.rpartition("-")[2]) if word])
        known, listing = ", ".join(run.id for run in runs[-5:]), registry.command("ssl runs list")
        raise StateError(f"no {kind} is called {selector!r}; {near}the newest are: {known}. To see all, type: {listing}")
    listed = ", ".join(run.id for run in found[:8]) + (" and others" if found[8:] else "")
    raise StateError(f"{selector!r} matches {len(found)} runs: {listed}; type more of it")


def _how_to_get_one(registry: Registry, of_kind: list[Run], experiment: str) -> str:
    """How a run of an experiment comes to be: the newest that is not finished goes on, else the command that makes one."""
    if begun := [run for run in of_kind if run.status in ("running", "interrupted")]:
        newest, state = begun[-1], registry.status(begun[-1])
        word, command = ("see how far it is", "ssl status") if state == "running" else ("go on", f"ssl resume {newest.id}")
        return f" yet: {newest.id} is {state}; to {word}, type: {registry.command(command)}"
    command = registry.command(f"ssl {EXPERIMENTS[experiment]}")
    if any(run.status != "published" for run in registry.runs()):
        return f"; to make one, type: {command}"
    return f"; to make some, type: {registry.command('ssl study')}, or: {command}"
