"""Which project a command works in."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from sslcli.errors import StateError
from sslcli.options.command import ENVIRONMENT, Command
from sslcli.runs.registry import Registry, find_project


def open_registry(command: Command) -> Registry:
    """The registry of the project that a command works in; a StateError if a command that only reads finds no folder."""
    named = command.project or os.environ.get("SSL_PROJECT")
    root = Path(named) if named else find_project(Path.cwd())
    said = f"SSL_PROJECT={root}" if command.origins.get("project") == ENVIRONMENT else f"--project {root}"
    if root.exists() and not root.is_dir():
        raise StateError(f"{said} is not a folder; accepted: a folder, which may be new; type: ssl study --project my-study")
    if not root.exists() and command.only_reads:
        raise StateError(
            f"{said}: there is no such folder; to make a study in it, type: ssl study --project {shlex.quote(str(root))}"
        )
    return Registry(root.resolve())
