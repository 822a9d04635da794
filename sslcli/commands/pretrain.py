"""ssl pretrain: train an encoder without labels."""

from __future__ import annotations

from sslcli.options.pretrain import Pretrain
from sslcli.options.project_folder import open_registry


def run(command: Pretrain) -> None:
    """Start a new run, continue the one that --run names, or with --dry-run print what it would be."""
    from sslcli.distributed import joined
    from sslcli.workflows.begin import pretrain

    with joined():  # an error on one process ends all of them
        pretrain(open_registry(command), command)
