"""Encoders and what is built on them. This file imports no torch: it says what there is."""

from __future__ import annotations

import re

BACKBONES = {
    "resnet18": "sslcli.models.backbones.torchvision_nets:resnet18",
    "resnet34": "sslcli.models.backbones.torchvision_nets:resnet34",
    "resnet50": "sslcli.models.backbones.torchvision_nets:resnet50",
    "convnext-tiny": "sslcli.models.backbones.torchvision_nets:convnext_tiny",
    "efficientnet-b0": "sslcli.models.backbones.torchvision_nets:efficientnet_b0",
    "vit-tiny": "sslcli.models.backbones.vit:vit_tiny",
    "vit-small": "sslcli.models.backbones.vit:vit_small",
    "resnet9-small": "sslcli.models.backbones.resnet9:resnet9_small",
    "resnet9": "sslcli.models.backbones.resnet9:ResNet9",
    "resnet9-wide": "sslcli.models.backbones.resnet9:resnet9_wide",
    "resnet9-large": "sslcli.models.backbones.resnet9:resnet9_large",
}
"""Name to the function or class that builds it, without weights; it is given the stem if there is one to choose."""
TIMM = "timm:"
"""What a backbone's name begins with if timm builds it."""

STEMS = dict.fromkeys(BACKBONES, ("own",)) | {
    "resnet18": ("conv3", "conv3-s2", "conv7-pool"),
    "resnet34": ("conv3", "conv3-s2", "conv7-pool"),
    "resnet50": ("conv3", "conv3-s2", "conv7-pool"),
    "convnext-tiny": ("patch2", "patch4"),
    "efficientnet-b0": ("conv3", "conv3-s2"),
    "vit-tiny": ("patch4", "patch8", "patch16"),
    "vit-small": ("patch4", "patch8", "patch16"),
}
"""The stems that a backbone can have, the first for small images, the last for large ones. conv3: 3x3 convolution, stride 1,
no pooling (SimCLR appendix B.9); conv3-s2: the same with stride 2, four times cheaper; conv7-pool: ImageNet's 7x7 stride 2
and max-pool; patchN: a convolution of NxN pixels and stride N; own: the backbone's only one.
"""
SIZED = "size-"
"""What the stem of timm's backbones begins with: size-N is timm's own, for images of N pixels where the net has to know."""


def default_stem(backbone: str, image_size: int) -> str:
    """The stem for images of `image_size` pixels: ImageNet's from 96 on, which halves twice before the first stage."""
    if backbone.startswith(TIMM):
        return f"{SIZED}{image_size}"
    stems = STEMS[backbone]
    return stems[-1] if image_size >= 96 else stems[0]


def stems_in_words(backbone: str) -> str:
    """What `has_stem` accepts."""
    return f"{SIZED}N, for images of N pixels" if backbone.startswith(TIMM) else ", ".join(STEMS[backbone])


def has_stem(backbone: str, stem: str) -> bool:
    """Whether a backbone can have a stem."""
    if backbone.startswith(TIMM):
        return re.fullmatch(SIZED + "[1-9][0-9]{0,3}", stem) is not None
    return stem in STEMS[backbone]
