"""ssl runs note: a note on a run. Imports no torch."""

from __future__ import annotations

from sslcli.errors import StateError
from sslcli.options.command import RunsNote
from sslcli.options.project import open_registry


def note(command: RunsNote) -> None:
    """Put a note on a run."""
    registry = open_registry(command)
    record = registry.load(registry.find(command.run))
    if registry.status(record) == "running":
        raise StateError(f"run {record.id} is running and keeps its own record; wait for it, or stop it")
    record.note = command.text or None
    registry.save(record)
    print(f"{record.id}: note {'written' if command.text else 'removed'}")
