"""ssl runs rm: delete a run. Imports no torch."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Annotated

import typer
from typer import Option

from sslcli.errors import StateError, UsageError
from sslcli.options.annotations import RunArgument
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.selection import descendants


@dataclass(frozen=True, kw_only=True)
class RunsRm(Command):
    """Delete a run: its folder and its entry in the registry."""

    run: RunArgument
    yes: Annotated[bool, Option("--yes", help="Delete without asking.")] = False
    cascade: Annotated[bool, Option("--cascade", help="Delete its descendants too.")] = False


def run(command: RunsRm) -> None:
    """Delete a run after asking. A run with descendants needs --cascade."""
    registry = open_registry(command)
    doomed = descendants(registry, registry.find(command.run))
    names = ", ".join(run.id for run in doomed)
    if len(doomed) > 1 and not command.cascade:
        raise StateError(f"{names}: the first is the parent of the others; to delete all of them, add --cascade")
    for run in doomed:
        if registry.path(run.folder) != registry.root.resolve() / run.folder:
            raise UsageError(f"{run.folder} is a link to {registry.path(run.folder)}: only folders under runs/ are deleted")
        if registry.status(run) == "running":
            raise StateError(f"run {run.id} is running; stop it first")
    if not command.yes and not _agreed(f"Delete {names}?"):
        raise StateError("nothing was deleted; to delete without being asked, add --yes")
    registry.remove({run.id for run in doomed})
    for run in doomed:
        if (folder := registry.root / run.folder).exists():
            shutil.rmtree(folder)
    print(f"deleted {names}")


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
