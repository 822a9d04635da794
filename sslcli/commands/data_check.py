"""ssl data check: duplicates in a data set, also between training and test, constant images, class balance."""

from __future__ import annotations

from sslcli.errors import UsageError
from sslcli.options.pictures import DataCheck
from sslcli.options.project_folder import open_registry


def run(command: DataCheck) -> None:
    """Check the data set, print the results, and say where they are saved; with --labels-too look for wrong labels first."""
    from sslcli.gallery.data_check import check_and_show

    registry = open_registry(command)
    if not command.labels_too:
        if command.run is not None:
            raise UsageError(f"--run {command.run}: accepted with --labels-too only, which needs an encoder")
        check_and_show(registry, command, style=command.format)
        return
    from sslcli.labelling.wrong_labels import find_suspects, show_suspects

    found = find_suspects(registry, command)
    check_and_show(registry, command, style=command.format)
    show_suspects(registry, command, found)
