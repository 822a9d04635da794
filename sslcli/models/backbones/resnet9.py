"""A small residual network for small images on slow machines, after the one that DAWNBench's CIFAR-10 entries used."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class ResNet9(nn.Module):
    """Images (B, 3, H, W) to representations (B, num_features): a 4x4 stride-2 stem, three stages, one residual block.

    `widths` are the channels of the stem and of the three stages. The spatial mean and maximum of the last stage are
    added, so that a thing in a corner counts as much as one that fills the picture. With `apart` they are concatenated,
    which gives twice as many features.
    """

    def __init__(self, *, widths: tuple[int, int, int, int] = (32, 64, 128, 512), apart: bool = False) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = _block(3, a, kernel=4, stride=2)
        self.stage1 = _block(a, b)
        self.pool1 = nn.MaxPool2d(2)
        self.stage2 = _block(b, c)
        self.residual = nn.Sequential(_block(c, c), _block(c, c))
        self.pool2 = nn.MaxPool2d(2)
        self.stage3 = _block(c, d)
        self.apart = apart
        self.num_features = 2 * d if apart else d

    def forward(self, images: Tensor) -> Tensor:
        """The representation of normalised images."""
        x = self.pool1(self.stage1(self.stem(images)))
        x = self.stage2(x)
        x = self.stage3(self.pool2(x + self.residual(x)))
        mean, most = x.mean((2, 3)), x.amax((2, 3))
        return torch.cat([mean, most], 1) if self.apart else mean + most


def resnet9_small() -> ResNet9:
    """Half as wide, with 256 features: for less than a minute of training."""
    return ResNet9(widths=(16, 32, 64, 256))


def resnet9_wide() -> ResNet9:
    """One and a half times as wide, except the representation, which stays 512 long: for more than a few minutes."""
    return ResNet9(widths=(48, 96, 192, 512))


def resnet9_wide_1024() -> ResNet9:
    """resnet9_wide with 1,024 features: mean and maximum apart.

    A projector of one hidden layer then has twice the weights in its first layer: with Muon a step of pretraining takes 1.2 to
    1.5 times as long (128 images, four views of 16 pixels, two cores of class avx2).
    """
    return ResNet9(widths=(48, 96, 192, 512), apart=True)


def resnet9_large() -> ResNet9:
    """Twice as wide, with 1,024 features: mean and maximum apart. For an hour of training on two cores."""
    return ResNet9(widths=(64, 128, 256, 512), apart=True)
