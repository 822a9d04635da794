"""ssl finetune: train encoder and classifier end to end."""

from __future__ import annotations

from sslcli.options.finetune import Finetune
from sslcli.options.project_folder import open_registry


def run(command: Finetune) -> None:
    """Train in a new run."""
    from sslcli.workflows.begin import finetune

    finetune(open_registry(command), command)
