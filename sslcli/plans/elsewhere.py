"""--init timm:NAME and torchvision:NAME: a network from a library, with its own weights, input size and normalisation."""

from __future__ import annotations

from pathlib import Path

from sslcli.errors import UsageError
from sslcli.models import INPUT
from sslcli.models.library_weights import weights_file
from sslcli.models.own_input import own_input
from sslcli.options.trainings import OptionsT
from sslcli.plans.data_access import data_folder
from sslcli.runs.naming import network_in
from sslcli.runs.registry import Registry

CONTINUED = 0.1
"""The default rate of a pretraining that starts from others' weights, relative to that of one from scratch."""
NETWORKS = "timm:NAME or torchvision:NAME, with @SIDE for images of that side, and =FILE for weights of your own"


def with_network(registry: Registry, command: OptionsT) -> OptionsT:
    """The command with the file, backbone and stem that its --init timm:NAME or torchvision:NAME stands for; else unchanged.

    A UsageError if backbone or stem are given too, a StateError if the weights are not here and may not be downloaded.
    """
    if (network := network_in(command.init)) is None or Path(command.init).exists():
        return command
    stem = f"{INPUT}{network.side or own_input(network.backbone).side}"
    settled = {"backbone": network.backbone, "stem": stem}
    for name, value in settled.items():
        if command.was_chosen(name) and getattr(command, name) not in (None, value):
            raise UsageError(f"--{name} {getattr(command, name)}: --init {command.init} has its own; leave --{name} out")
    folder = data_folder(registry, command.data_dir) / "weights"
    file = network.file or weights_file(network.backbone, folder, download=command.download)
    return command.because(f"--init {command.init}", init=str(file), **settled)
