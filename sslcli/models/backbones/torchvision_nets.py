"""torchvision's convolutional networks, without weights and without their classifier, with a stem that suits the image size."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models


def resnet_with_stem(net: Any, stem: str) -> nn.Module:
    """A residual network (He et al. 2016, arXiv:1512.03385) with this stem, whose last features are its output."""
    if stem != "conv7-pool":
        stride, padding = {"conv3": (1, 1), "conv3-s2": (2, 1), "conv3-pad2": (1, 2)}[stem]
        net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, stride, padding, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
        net.maxpool = nn.Identity()
    net.num_features = net.fc.in_features
    net.fc = nn.Identity()
    made: nn.Module = net
    return made


def resnet18(stem: str) -> nn.Module:
    """ResNet-18, 512 features."""
    return resnet_with_stem(models.resnet18(), stem)


def resnet34(stem: str) -> nn.Module:
    """ResNet-34, 512 features."""
    return resnet_with_stem(models.resnet34(), stem)


def resnet50(stem: str) -> nn.Module:
    """ResNet-50, 2048 features."""
    return resnet_with_stem(models.resnet50(), stem)


def convnext_tiny(stem: str) -> nn.Module:
    """ConvNeXt-T (Liu et al. 2022, arXiv:2201.03545), 768 features, after its last layer norm.

    patch4 is its own stem. With patch2, images of 32 pixels enter the first stage at 16x16 and leave the last at 2x2.
    """
    net: Any = models.convnext_tiny()
    side = {"patch2": 2, "patch4": 4}[stem]
    patches = net.features[0][0]
    net.features[0][0] = nn.Conv2d(3, patches.out_channels, side, side)
    nn.init.trunc_normal_(net.features[0][0].weight, std=0.02)  # as torchvision does
    nn.init.zeros_(net.features[0][0].bias)
    net.num_features = net.classifier[2].in_features
    net.classifier[2] = nn.Identity()
    made: nn.Module = net
    return made


def efficientnet_b0(stem: str) -> nn.Module:
    """EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946), 1280 features.

    conv3-s2 is its own stem. With conv3 (stride 1), images of 32 pixels leave the last stage at 2x2.
    """
    net: Any = models.efficientnet_b0()
    net.features[0][0].stride = {"conv3": (1, 1), "conv3-s2": (2, 2)}[stem]
    net.num_features = net.classifier[1].in_features
    net.classifier = nn.Identity()  # removes its dropout too: h is the output of the last stage
    made: nn.Module = net
    return made
