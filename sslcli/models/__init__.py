"""Encoders and what is built on them. This file imports no torch: it says what there is."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """`build` is "module:name" of the function or class that builds it, without weights; given the stem if it can be chosen.

    `stems` are those that it can have, the first for small images, the last for large ones. conv3: 3x3 convolution, stride 1,
    no pooling (SimCLR appendix B.9); conv3-s2: the same with stride 2, four times cheaper; conv7-pool: ImageNet's 7x7 stride 2
    and max-pool; patchN: a convolution of NxN pixels and stride N; own: the backbone's only one.
    `libraries` have it too, under the same name, as far as `ssl export` builds theirs.
    """

    build: str
    stems: tuple[str, ...] = ("own",)
    libraries: tuple[str, ...] = ()


RESNET_STEMS, VIT_STEMS = ("conv3", "conv3-s2", "conv7-pool"), ("patch4", "patch8", "patch16")
RESNETS_TOO = ("torchvision", "timm")
BACKBONES = {
    "resnet18": Backbone("sslcli.models.backbones.torchvision_nets:resnet18", RESNET_STEMS, RESNETS_TOO),
    "resnet34": Backbone("sslcli.models.backbones.torchvision_nets:resnet34", RESNET_STEMS, RESNETS_TOO),
    "resnet50": Backbone("sslcli.models.backbones.torchvision_nets:resnet50", RESNET_STEMS, RESNETS_TOO),
    "convnext-tiny": Backbone("sslcli.models.backbones.torchvision_nets:convnext_tiny", ("patch2", "patch4")),
    "efficientnet-b0": Backbone("sslcli.models.backbones.torchvision_nets:efficientnet_b0", ("conv3", "conv3-s2")),
    "vit-tiny": Backbone("sslcli.models.backbones.vit:vit_tiny", VIT_STEMS),
    "vit-small": Backbone("sslcli.models.backbones.vit:vit_small", VIT_STEMS),
    "resnet9-small": Backbone("sslcli.models.backbones.resnet9:resnet9_small"),
    "resnet9": Backbone("sslcli.models.backbones.resnet9:ResNet9"),
    "resnet9-wide": Backbone("sslcli.models.backbones.resnet9:resnet9_wide"),
    "resnet9-large": Backbone("sslcli.models.backbones.resnet9:resnet9_large"),
}
"""Every backbone of the program by its name, a line each, in the order in which they are shown."""
TIMM = "timm:"
"""What a backbone's name begins with if timm builds it."""

SIZED = "size-"
"""What the stem of timm's backbones begins with: size-N is timm's own, for images of N pixels where the net has to know."""


def all_stems() -> tuple[str, ...]:
    """The stems of all backbones, each once."""
    return tuple(dict.fromkeys(stem for backbone in BACKBONES.values() for stem in backbone.stems))


def default_stem(backbone: str, image_size: int) -> str:
    """The stem for images of `image_size` pixels: ImageNet's from 96 on, which halves twice before the first stage."""
    if backbone.startswith(TIMM):
        return f"{SIZED}{image_size}"
    stems = BACKBONES[backbone].stems
    return stems[-1] if image_size >= 96 else stems[0]


def stems_in_words(backbone: str) -> str:
    """What `has_stem` accepts."""
    return f"{SIZED}N, for images of N pixels" if backbone.startswith(TIMM) else ", ".join(BACKBONES[backbone].stems)


def has_stem(backbone: str, stem: str) -> bool:
    """Whether a backbone can have a stem."""
    if backbone.startswith(TIMM):
        return re.fullmatch(SIZED + "[1-9][0-9]{0,3}", stem) is not None
    return stem in BACKBONES[backbone].stems
