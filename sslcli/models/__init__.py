"""Encoders and what is built on them. This file imports no torch: it only lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """`build` is "module:name" of the function or class that builds it without weights; it gets the stem if there is a choice.

    `stems` lists its stems, the first for small images, the last for large ones. conv3: 3x3 convolution, stride 1,
    no pooling (SimCLR appendix B.9); conv3-pad2: the same with a padding of 2, for weights of solo-learn; conv3-s2: with stride
    2, four times cheaper; conv7-pool: ImageNet's 7x7 stride 2 and max-pool; patchN: a convolution of NxN pixels and stride N;
    own: the backbone's only one.
    `libraries` have the same backbone under the same name, for `ssl export`. `paper` is what to cite.
    """

    build: str
    stems: tuple[str, ...] = ("own",)
    libraries: tuple[str, ...] = ()
    paper: str = ""


RESNET_STEMS, VIT_STEMS = ("conv3", "conv3-s2", "conv3-pad2", "conv7-pool"), ("patch4", "patch8", "patch16")
RESNETS_TOO = ("torchvision", "timm")
RESNET = "ResNet: deep residual learning for image recognition (He et al. 2016, arXiv:1512.03385)."
CONVNEXT = "ConvNeXt: a ConvNet for the 2020s (Liu et al. 2022, arXiv:2201.03545)."
EFFNET = "EfficientNet: rethinking model scaling for convolutional neural networks (Tan and Le 2019, arXiv:1905.11946)."
VIT = "ViT: an image is worth 16x16 words (Dosovitskiy et al. 2021, arXiv:2010.11929)."
BACKBONES = {
    "resnet18": Backbone("sslcli.models.backbones.torchvision_nets:resnet18", RESNET_STEMS, RESNETS_TOO, RESNET),
    "resnet34": Backbone("sslcli.models.backbones.torchvision_nets:resnet34", RESNET_STEMS, RESNETS_TOO, RESNET),
    "resnet50": Backbone("sslcli.models.backbones.torchvision_nets:resnet50", RESNET_STEMS, RESNETS_TOO, RESNET),
    "convnext-tiny": Backbone("sslcli.models.backbones.torchvision_nets:convnext_tiny", ("patch2", "patch4"), paper=CONVNEXT),
    "efficientnet-b0": Backbone(
        "sslcli.models.backbones.torchvision_nets:efficientnet_b0", ("conv3", "conv3-s2"), paper=EFFNET
    ),
    "vit-tiny": Backbone("sslcli.models.backbones.vit:vit_tiny", VIT_STEMS, paper=VIT),
    "vit-small": Backbone("sslcli.models.backbones.vit:vit_small", VIT_STEMS, paper=VIT),
    "resnet9-small": Backbone("sslcli.models.backbones.resnet9:resnet9_small"),
    "resnet9": Backbone("sslcli.models.backbones.resnet9:ResNet9"),
    "resnet9-wide": Backbone("sslcli.models.backbones.resnet9:resnet9_wide"),
    "resnet9-wide-1024": Backbone("sslcli.models.backbones.resnet9:resnet9_wide_1024"),
    "resnet9-large": Backbone("sslcli.models.backbones.resnet9:resnet9_large"),
}
"""Every backbone of the program by name, one line each, in the order in which they are shown."""
TIMM = "timm:"
"""The prefix of backbones that timm builds."""
TORCHVISION = "torchvision:"
"""The prefix of backbones that torchvision builds, as its authors made them."""
LIBRARIES = (TIMM, TORCHVISION)

SIZED = "size-"
"""The prefix of the stems of timm's backbones: size-N is timm's own, for images of N pixels if the network needs to know."""
INPUT = "input-"
"""The prefix of the stems of libraries' backbones that keep their own input: with input-N images are resized to N pixels, and
normalised as the network's authors did."""


def all_stems() -> tuple[str, ...]:
    """The stems of all backbones, each once."""
    return tuple(dict.fromkeys(stem for backbone in BACKBONES.values() for stem in backbone.stems))


def default_stem(backbone: str, image_size: int) -> str:
    """The stem for images of `image_size` pixels: from 96 on ImageNet's, which halves the size twice before the first stage."""
    if backbone.startswith(TIMM):
        return f"{SIZED}{image_size}"
    if backbone.startswith(TORCHVISION):
        return f"{INPUT}{image_size}"
    stems = BACKBONES[backbone].stems
    return stems[-1] if image_size >= 96 else stems[0]


def stems_in_words(backbone: str) -> str:
    """The stems that `has_stem` accepts, in words."""
    if backbone.startswith(LIBRARIES):
        sized = f"{SIZED}N, for images of N pixels; " * backbone.startswith(TIMM)
        return f"{sized}{INPUT}N, which resizes images to N pixels"
    return ", ".join(BACKBONES[backbone].stems)


def has_stem(backbone: str, stem: str) -> bool:
    """Whether a backbone can have a stem."""
    if backbone.startswith(LIBRARIES):
        kinds = f"{SIZED}|{INPUT}" if backbone.startswith(TIMM) else INPUT
        return re.fullmatch(f"({kinds})[1-9][0-9]{{0,3}}", stem) is not None
    return stem in BACKBONES[backbone].stems
