"""Vision transformers (Dosovitskiy et al. 2021, arXiv:2010.11929): torchvision's, with patches that suit the image size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

MADE_FOR = {"patch4": (4, 32), "patch8": (8, 96), "patch16": (16, 224)}
"""Each stem to the side of its patches (a convolution of that side and stride) and of the images its positions are for."""


class AnySizeViT(VisionTransformer):  # type: ignore[misc]  # torchvision says nothing of types
    """torchvision's transformer for images (B, 3, H, W) of any size: to its class token (B, num_features).

    On images of the size that it is made for it equals torchvision's; for others its learned positions are resized (bicubic).
    Rows and columns at the bottom and right that do not fill a patch are left out.
    """

    def __init__(self, stem: str, *, dim: int, heads: int) -> None:
        patch, side = MADE_FOR[stem]
        super().__init__(side, patch, num_layers=12, num_heads=heads, hidden_dim=dim, mlp_dim=4 * dim)
        self.heads = nn.Identity()
        self.num_features = dim

    def forward(self, x: Tensor) -> Tensor:
        """The representation of normalised images."""
        return self.tokens(x)[:, 0]

    def tokens(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """The class token and the tokens of the patches (B, 1 + N, num_features), row by row.

        With `shown` (B, K) only the patches with these numbers are computed, in this order: (B, 1 + K, num_features).
        """
        patches = self.conv_proj(x)
        positions = self.positions(*patches.shape[-2:])
        tokens, first = patches.flatten(2).mT + positions[:, 1:], self.class_token + positions[:, :1]
        if shown is not None:
            tokens = tokens.gather(1, shown[:, :, None].expand(-1, -1, tokens.shape[-1]))
        whole = torch.cat([first.expand(x.shape[0], -1, -1), tokens], 1)
        made: Tensor = self.encoder.ln(self.encoder.layers(self.encoder.dropout(whole)))
        return made

    def positions(self, height: int, width: int) -> Tensor:
        """The positions (1, 1 + height width, dim) of the class token and of a grid of patches, row by row."""
        known: Tensor = self.encoder.pos_embedding
        side = self.image_size // self.patch_size
        if (height, width) == (side, side):
            return known
        grid = known[:, 1:].mT.reshape(1, -1, side, side)
        resize = bicubic_by_products if grid.is_cuda and torch.are_deterministic_algorithms_enabled() else bicubic
        resized = resize(grid, height, width)
        return torch.cat([known[:, :1], resized.flatten(2).mT], 1)


def bicubic(grid: Tensor, height: int, width: int) -> Tensor:
    """Resize a grid (1, C, H, W), bicubic."""
    return F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)


def bicubic_by_products(grid: Tensor, height: int, width: int) -> Tensor:
    """The same except for rounding, with a gradient that is deterministic on CUDA, where torch has none."""
    rows, columns = (
        bicubic(torch.eye(old, device=grid.device, dtype=grid.dtype)[None, None], new, old)
        for old, new in zip(grid.shape[-2:], (height, width), strict=True)
    )
    with torch.autocast(grid.device.type, enabled=False):
        return rows @ grid @ columns.mT


def vit_tiny(stem: str) -> AnySizeViT:
    """ViT-Ti: 12 layers of 192 and 3 heads, 5.4 million parameters, 192 features (the sizes of DeiT, arXiv:2012.12877)."""
    return AnySizeViT(stem, dim=192, heads=3)


def vit_small(stem: str) -> AnySizeViT:
    """ViT-S: 12 layers of 384 and 6 heads, 21.3 million parameters, 384 features (the sizes of DeiT, arXiv:2012.12877)."""
    return AnySizeViT(stem, dim=384, heads=6)
