"""ssl data check: duplicates in a data set, also between training and test, constant images, class balance."""

from __future__ import annotations

from sslcli.options.pictures import DataCheck
from sslcli.options.project_folder import open_registry


def run(command: DataCheck) -> None:
    """Check the data set, print the results, and say where they are saved."""
    from sslcli.gallery.data_check import check_and_show

    check_and_show(open_registry(command), command, style=command.format)
