"""Backbones of few channels or layers in the place of large ones, for tests of what is done with a net."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from sslcli.models.backbones.torchvision_nets import resnet_with_stem
from sslcli.models.backbones.vit import AnySizeViT


class Narrow(ResNet):
    """torchvision's residual network with an eighth of the channels in each of its stages."""

    def _make_layer(self, block: Any, planes: int, *arguments: Any, **named: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // 8, *arguments, **named)


def resnet18(stem: str) -> nn.Module:
    """ResNet-18 with every stem that it can have, and 64 features instead of 512."""
    net = Narrow(BasicBlock, [2, 2, 2, 2])
    net.fc = nn.Linear(64, 1)
    return resnet_with_stem(net, stem)


def vit_tiny(stem: str) -> nn.Module:
    """ViT-Ti with the first two of its twelve equal layers."""
    net = AnySizeViT(stem, dim=192, heads=3)
    net.encoder.layers = net.encoder.layers[:2]
    return net
