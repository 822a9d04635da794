"""ssl pretrain: an encoder trained without labels."""

from __future__ import annotations

from sslcli.options.pretrain import Pretrain
from sslcli.options.project import open_registry


def run(command: Pretrain) -> None:
    """Start a new run, go on with the one that --run names, or say with --dry-run what it would be."""
    from sslcli.workflows.begin import pretrain

    pretrain(open_registry(command), command)
