"""ssl views: images beside their augmented views, pixel by pixel as the encoder gets them."""

from __future__ import annotations

from sslcli.console.messages import say
from sslcli.options.pictures import Views
from sslcli.options.project_folder import open_registry
from sslcli.paths import relative


def run(command: Views) -> None:
    """Draw the views of these options, or those of a pretrain run."""
    from sslcli.gallery.views import save_views

    registry = open_registry(command)
    path = save_views(registry, command)
    following = registry.command("ssl pretrain --minutes 15")
    say(f"wrote {relative(path)}; next, type: {following}, with options whose views look right")
