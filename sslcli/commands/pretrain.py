"""ssl pretrain: an encoder trained without labels."""

from __future__ import annotations

from sslcli.options.pretrain import Pretrain
from sslcli.options.project_folder import open_registry


def run(command: Pretrain) -> None:
    """Start a new run, go on with the one that --run names, or say with --dry-run what it would be."""
    from sslcli.distributed import joined
    from sslcli.workflows.begin import pretrain

    with joined():  # what one process meets from here on ends all
        pretrain(open_registry(command), command)
