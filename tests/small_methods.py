"""Every method of the table around a net of a few channels, and batches to show it: for tests of all methods alike."""

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from sslcli.methods import FILES, METHODS, options_of
from sslcli.methods.method import Batch, Method
from sslcli.models.backbones.vit import AnySizeViT
from sslcli.models.encoder import Encoder

DIM, IMAGES, SIDE = 12, 8, 16
SMALL = {
    "projector_hidden": 20,
    "projector_dim": 8,
    "predictor_hidden": 10,
    "queue_size": 24,
    "prototypes": 12,
    "directions": 5,
    "decoder_dim": 32,
    "decoder_depth": 1,
}
"""Options that make a method's heads small, where it has them."""


class Net(nn.Module):
    """Images (B, 3, S, S), S from 7 on, to representations (B, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
            nn.Conv2d(6, DIM, 3, stride=2), nn.BatchNorm2d(DIM, momentum=None), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        h: Tensor = self.layers(images)
        return h


def small_options(name: str) -> dict[str, int]:
    """Those of SMALL that a method has."""
    return {option: value for option, value in SMALL.items() if option in options_of(name)}


def backbone_of(name: str, usual: str) -> str:
    """The usual backbone, or where a method does not take it, the first that it takes."""
    accepted = FILES[name].backbones
    return usual if not accepted or usual in accepted else accepted[0]


def small_method(name: str, **chosen: Any) -> Method:
    """A method of the table in float64 and training mode, the same at each call."""
    path, _, kind = METHODS[name].partition(":")
    module: Any = importlib.import_module(path)
    torch.manual_seed(0)
    net = AnySizeViT("patch4", dim=DIM, heads=3) if FILES[name].backbones else Net()
    made: Method = getattr(module, kind)(Encoder(net, DIM), module.Options(**small_options(name) | chosen))
    return made.double()


def small_batch(method: Method, step: int = 0, *, images: int = IMAGES, part: slice = slice(None)) -> Batch:
    """The views of some images that a method asks for, in float64, and the images' places; of all `images` the `part`."""
    random = torch.Generator().manual_seed(step)
    base = torch.randn(images, 3, SIDE, SIDE, generator=random, dtype=torch.float64)
    sides = [round(SIDE * spec.part) for spec in method.views for _ in range(spec.count)]
    views = [
        base[..., :side, :side] + 0.5 * torch.randn(images, 3, side, side, generator=random, dtype=torch.float64)
        for side in sides
    ]
    return Batch([view[part] for view in views], torch.arange(images)[part])
