"""The encoder: a backbone without its classifier, with a stem that suits the image size."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.distributed import world
from sslcli.errors import UsageError
from sslcli.models import BACKBONES, INPUT, LIBRARIES, SIZED, TIMM
from sslcli.models.convolution import quicken


class Encoder(nn.Module):
    """Normalised images (B, 3, H, W) to representations h (B, `dim`), the input of projector and probe.

    With a `side` the backbone sees images resized to that many pixels (bicubic, with antialiasing), whatever their size.
    """

    def __init__(self, backbone: nn.Module, dim: int, *, side: int | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.dim = dim
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """The representation h of normalised images."""
        if self.side is not None and images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images.float(), (self.side, self.side), mode="bicubic", antialias=True)
            images = images.contiguous(memory_format=torch.channels_last)
        h: Tensor = self.backbone(images)
        return h


def build_encoder(backbone: str, *, stem: str, seed: int) -> Encoder:
    """Build a randomly initialised encoder. The same seed always gives the same weights.

    backbone: a name in BACKBONES, timm:NAME or torchvision:NAME. stem: one that `has_stem` accepts for it; a backbone without
    a choice of stems takes only "own". A UsageError if the library has no such model for images of that size, a StateError if
    timm is missing.
    """
    build = _of_library(backbone, stem) if backbone.startswith(LIBRARIES) else _of_table(backbone, stem)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build()
    quicken(net)
    return Encoder(net, net.num_features, side=int(stem.removeprefix(INPUT)) if stem.startswith(INPUT) else None)


def _of_table(backbone: str, stem: str) -> Callable[[], Any]:
    module, _, name = BACKBONES[backbone].build.partition(":")
    function = getattr(importlib.import_module(module), name)
    return partial(function, *([] if stem == "own" else [stem]))


def _of_library(backbone: str, stem: str) -> Callable[[], Any]:
    if backbone.startswith(TIMM):
        from sslcli.models.backbones.timm_nets import build
    else:
        from sslcli.models.backbones.torchvision_any import build
    return partial(build, backbone, int(stem.removeprefix(SIZED).removeprefix(INPUT)))


@lru_cache(maxsize=32)
def hold_to_side(backbone: str, *, stem: str, side: int) -> None:
    """A UsageError if the encoder cannot represent images of `side` pixels, or cannot run on several processes."""
    encoder = build_encoder(backbone, stem=stem, seed=0).eval()
    norms = {type(child) for child in encoder.modules() if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d))}
    if world() > 1 and not norms <= {nn.BatchNorm1d, nn.BatchNorm2d}:
        raise UsageError(
            f"--backbone {backbone} has its own kind of batch norm, which {world()} processes cannot share; "
            "use one process, or another backbone"
        )
    try:
        with torch.no_grad():
            encoder(torch.zeros(1, 3, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"--backbone {backbone} with --stem {stem} does not take images of {side} pixels ({reason}); try larger "
            "images and views, another stem, or another backbone"
        ) from error


def weights_hash(module: nn.Module) -> str:
    """sha256 over the names, shapes and values of all parameters and buffers. Strides and padding are not in it."""
    return tensors_hash(module.state_dict())


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """`weights_hash` of a module, from its state."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
