"""Any classifier of torchvision as a backbone, as its authors made it, without weights and without its last layer."""

from __future__ import annotations

import difflib

import torchvision
from torch import nn
from torchvision.models import get_model, list_models

from sslcli.errors import UsageError
from sslcli.models import TORCHVISION
from sslcli.models.backbones.of_libraries import FORMS, backbone_of


def hold_to_known(backbone: str) -> str:
    """The name after "torchvision:"; a UsageError if torchvision has no such model."""
    name = backbone.removeprefix(TORCHVISION)
    if name not in (known := list_models(module=torchvision.models)):
        near = difflib.get_close_matches(name, known, 5, 0.5)
        meant = f"similar are {', '.join(TORCHVISION + other for other in near)}" if near else "no name is similar"
        raise UsageError(
            f"--backbone {backbone}: torchvision has no such model; {meant}; torchvision.models.list_models() lists all"
        )
    return name


def build(backbone: str, size: int) -> nn.Module:
    """The model without its last linear layer, for images of `size` pixels; `num_features` is the length of its output.

    A UsageError if it does not turn an image of that size into a vector.
    """
    name = hold_to_known(backbone)
    return backbone_of(lambda: _headless(get_model(name, weights=None), backbone), backbone, size)


def _headless(net: nn.Module, backbone: str) -> nn.Module:
    """The network with an identity in place of its last layer."""
    if hasattr(net, "transform_input"):  # torchvision sets it, and the classifiers at its side, only if it loads the weights
        raise UsageError(f"--backbone {backbone} changes its input by itself and has classifiers at its side: not accepted")
    last = list(net.named_modules())[-1][0]
    parent, _, name = last.rpartition(".")
    if not isinstance(net.get_submodule(last), nn.Linear):
        raise UsageError(f"--backbone {backbone} does not end in a linear layer; {FORMS}")
    setattr(net.get_submodule(parent), name, nn.Identity())
    return net
