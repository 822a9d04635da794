"""ssl runs note: a note on a run. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Argument

from sslcli.errors import StateError
from sslcli.options.annotations import RunArgument
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class RunsNote(Command):
    """Write a note on a run. Without text: remove the note."""

    run: RunArgument
    text: Annotated[str, Argument(help="Text of the note.")] = ""


def run(command: RunsNote) -> None:
    """Write or remove the note of a run."""
    registry = open_registry(command)
    record = registry.load(registry.find(command.run))
    if registry.status(record) == "running":
        raise StateError(f"run {record.id} is running and writes its own record; wait for it, or stop it")
    record.note = command.text or None
    registry.save(record)
    print(f"{record.id}: note {'written' if command.text else 'removed'}")
