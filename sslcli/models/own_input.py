"""The input that a library's network was made for: side of the images, and normalisation."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from sslcli.models import TIMM
from sslcli.models.backbones import timm_nets, torchvision_any


@dataclass(frozen=True)
class OwnInput:
    """`side` in pixels; `mean` and `std` (3,) of the channels, in [0, 1]."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


IMAGENET = OwnInput(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The input of networks whose library says nothing: that of most networks trained on ImageNet."""


def own_input(backbone: str) -> OwnInput:
    """What timm or torchvision says about the network's input.

    A UsageError if the library has no such network, a StateError if timm is not installed.
    """
    return _of_timm(backbone) if backbone.startswith(TIMM) else _of_torchvision(backbone)


def _of_timm(backbone: str) -> OwnInput:
    timm = timm_nets.hold_to_known(backbone)
    known: Any = timm.get_pretrained_cfg(backbone.removeprefix(TIMM))
    return IMAGENET if known is None else OwnInput(known.input_size[-1], tuple(known.mean), tuple(known.std))


def _of_torchvision(backbone: str) -> OwnInput:
    name = torchvision_any.hold_to_known(backbone)
    known: Any = importlib.import_module("torchvision.models").get_model_weights(name).DEFAULT.transforms()
    return OwnInput(known.crop_size[0], tuple(known.mean), tuple(known.std))


def input_in_words(backbone: str, *, others: bool) -> str:
    """The input of a library's network in words; with `others`, also which weights of the same network in timm want another."""
    own = own_input(backbone)
    words = f"{_normalised(own)}, as {backbone} says"
    apart = _others_of_timm(backbone, own) if others and backbone.startswith(TIMM) else {}
    if not apart:
        return words
    name, first = next(iter(apart.items()))
    return f"{words}; other weights of this network want another, such as {name} {_normalised(first)}: name yours"


def _normalised(own: OwnInput) -> str:
    mean, std = ("/".join(f"{value:.3g}" for value in values) for values in (own.mean, own.std))
    return f"mean {mean}, deviation {std}"


def _others_of_timm(backbone: str, own: OwnInput) -> dict[str, OwnInput]:
    """The names of this network's weights in timm whose mean or deviation are others, if the name says no weights."""
    name = backbone.removeprefix(TIMM)
    if "." in name:
        return {}
    timm: Any = importlib.import_module("timm")
    tagged = {TIMM + tag: _of_timm(TIMM + tag) for tag in timm.list_models(f"{name}.*", pretrained=True)}
    return {tag: found for tag, found in tagged.items() if (found.mean, found.std) != (own.mean, own.std)}
