"""ssl predict: a grid of a classifier's predictions for test images or own pictures, or the classes of a whole folder."""

from __future__ import annotations

from sslcli.console.messages import say
from sslcli.errors import UsageError
from sslcli.options.pictures import Predict
from sslcli.options.project_folder import open_registry
from sslcli.paths import relative


def run(command: Predict) -> None:
    """Draw the grids, and print their results and those of the whole test set; or write the classes of a folder."""
    if command.more and not command.images:
        raise UsageError(f"{' '.join(command.more)!r}: type --images before a picture of your own, --run before a run")
    from sslcli.gallery.predictions import save_own_images, save_predictions
    from sslcli.labelling.rest import label_rest

    registry = open_registry(command)
    if command.images and command.out is not None and command.out.suffix.lower() == ".csv":
        label_rest(registry, command)
        return
    if command.images:
        save_own_images(registry, command)
        return
    written = save_predictions(registry, command)
    say(f"wrote {', '.join(relative(path) for path in written)}")
    say(f"next, type: {registry.command('ssl compare')}")
