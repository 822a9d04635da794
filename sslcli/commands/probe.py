"""ssl probe: measure a frozen encoder."""

from __future__ import annotations

from sslcli.options.probe import Probe
from sslcli.options.project_folder import open_registry


def run(command: Probe) -> None:
    """Evaluate an encoder in a new run."""
    from sslcli.workflows.begin import probe

    probe(open_registry(command), command)
