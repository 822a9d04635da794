"""Encoders and what is built on them. This file imports no torch: it says what there is."""

from __future__ import annotations

BACKBONES = {
    "resnet18": "torchvision.models:resnet18",
    "resnet34": "torchvision.models:resnet34",
    "resnet50": "torchvision.models:resnet50",
    "resnet9": "sslcli.models.resnet9:ResNet9",
    "resnet9-wide": "sslcli.models.resnet9:resnet9_wide",
    "resnet9-large": "sslcli.models.resnet9:resnet9_large",
}
"""Name to the function or class that builds it, without weights."""

_RESNET = ("conv3", "conv3-s2", "conv7-pool")
STEMS = dict.fromkeys(BACKBONES, ("own",)) | dict.fromkeys(("resnet18", "resnet34", "resnet50"), _RESNET)
"""The stems that a backbone can have. conv3: 3x3 convolution, stride 1, no pooling (SimCLR appendix B.9); conv3-s2: the
same with stride 2, four times cheaper; conv7-pool: ImageNet's 7x7 stride 2 and max-pool; own: the backbone's only one."""


def default_stem(backbone: str, image_size: int) -> str:
    """The stem for images of `image_size` pixels: ImageNet's from 96 on, which halves twice before the first stage."""
    stems = STEMS[backbone]
    return stems[-1] if image_size >= 96 else stems[0]
