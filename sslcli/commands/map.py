"""ssl map: the representations of pretrained and scratch side by side, as a map and as nearest images."""

from __future__ import annotations

from sslcli.console.messages import say
from sslcli.options.pictures import Map
from sslcli.options.project_folder import open_registry
from sslcli.paths import relative


def run(command: Map) -> None:
    """Draw both pictures and print their numbers."""
    from sslcli.gallery.representations import save_map

    registry = open_registry(command)
    written = save_map(registry, command)
    say(f"wrote {', '.join(relative(path) for path in written)}")
    say(f"next, type: {registry.command('ssl report')}")
