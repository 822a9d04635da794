"""The encoder: a backbone without its classifier, with a stem that suits the image size."""

from __future__ import annotations

import hashlib
import importlib
from typing import Any

import torch
from torch import Tensor, nn

from sslcli.models import BACKBONES, STEMS
from sslcli.models.convolution import quicken


class Encoder(nn.Module):
    """Normalised images (B, 3, H, W) to representations h (B, `dim`), the input of projector and probe alike."""

    def __init__(self, backbone: nn.Module, dim: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dim = dim

    def forward(self, images: Tensor) -> Tensor:
        """The representation h of normalised images."""
        h: Tensor = self.backbone(images)
        return h


def build_encoder(backbone: str, *, stem: str, seed: int) -> Encoder:
    """Build a randomly initialised encoder; the same seed gives the same weights, whatever was drawn before.

    backbone: a name in BACKBONES. stem: a name in STEMS; a backbone without exchangeable stem takes "own" alone.
    """
    module, _, name = BACKBONES[backbone].partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = getattr(importlib.import_module(module), name)()
        quicken(net)
        if STEMS[backbone] == ("own",):
            return Encoder(net, net.num_features)
        if stem != "conv7-pool":
            stride = {"conv3": 1, "conv3-s2": 2}[stem]
            net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, stride, padding=1, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
            net.maxpool = nn.Identity()
    dim = net.fc.in_features
    net.fc = nn.Identity()
    return Encoder(net, dim)


def weights_hash(module: nn.Module) -> str:
    """sha256 over the names, shapes and values of every parameter and buffer: equal means the same function."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
