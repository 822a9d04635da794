"""ssl runs rebuild: write the index again from the records. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sslcli.console.messages import say
from sslcli.errors import StateError
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class RunsRebuild(Command):
    """Rebuild registry.yaml from the records under runs/."""


def run(command: RunsRebuild) -> None:
    """Rebuild the index, and name the records that were skipped."""
    registry = open_registry(command)
    runs, problems = registry.rebuild()
    for problem in problems:
        say(f"ssl: {problem}")
    print(f"{registry.index}: {len(runs)} runs")
    if problems:
        raise StateError(f"{len(problems)} problems: the records named above were skipped")
