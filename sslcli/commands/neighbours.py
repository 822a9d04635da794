"""ssl neighbours: the training pictures that an encoder finds nearest to your own pictures."""

from __future__ import annotations

from sslcli.errors import UsageError
from sslcli.options.pictures import Neighbours
from sslcli.options.project_folder import open_registry


def run(command: Neighbours) -> None:
    """Draw own pictures beside their nearest training images, and print the names of these."""
    if not command.images:
        raise UsageError("no picture was named; accepted are pictures and folders of them: ssl neighbours A.png FOLDER")
    from sslcli.gallery.neighbours import save_neighbours

    save_neighbours(open_registry(command), command)
