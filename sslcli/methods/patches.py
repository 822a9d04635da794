"""Patches of images, row by row of their grid: their pixels, their positions, and a random order to hide some."""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number: its multiples lie far apart


def pixels_of(images: Tensor, side: int) -> Tensor:
    """The pixels (B, N, 3 side side) of the patches of images (B, 3, H, W); pixels that do not fill a patch are left out."""
    height, width = (length // side for length in images.shape[-2:])
    whole = images[..., : height * side, : width * side]
    grid = whole.reshape(len(images), 3, height, side, width, side).permute(0, 2, 4, 3, 5, 1)
    return grid.reshape(len(images), height * width, 3 * side * side)


def taken(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens (B, K, d) at the positions (B, K) of tokens (B, N, d)."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[-1]))


def positions_of(height: int, width: int, dim: int, like: Tensor) -> Tensor:
    """Positions (height width, dim) of a grid's patches, with format and device of `like`: sines and cosines of row, column.

    A quarter of the dimensions each, at wavelengths from 2 pi to 20,000 pi (Vaswani et al. 2017, arXiv:1706.03762).
    """
    rates = 10_000 ** (-torch.arange(dim // 4, device=like.device, dtype=like.dtype) / (dim // 4))
    row, column = (torch.arange(count, device=like.device, dtype=like.dtype)[:, None] * rates for count in (height, width))
    by_row, by_column = row[:, None].expand(-1, width, -1), column.expand(height, -1, -1)
    return torch.cat([by_row.sin(), by_row.cos(), by_column.sin(), by_column.cos()], -1).flatten(0, 1)


def shuffled(count: int, *, key: int, step: Tensor, rows: Tensor) -> Tensor:
    """A random order (B, count) of patches for each image: a pure function of key, step (int64, scalar) and row (B,).

    Computed from whole numbers on the rows' device: each process draws the orders of its own images, a GPU and a CPU draw the
    same, and a compiled step reads only tensors.
    """
    of_images = _mixed(_mixed(step + key) + rows * GOLDEN)
    of_patches = torch.arange(count, device=rows.device) * GOLDEN
    return _mixed(of_images[:, None] + of_patches).argsort(dim=1, stable=True)


def _mixed(x: Tensor) -> Tensor:
    """int64 numbers that depend on every bit of x, one to one: the last part of splitmix64 (Steele et al. 2014)."""
    x = (x ^ _right(x, 30)) * -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
    x = (x ^ _right(x, 27)) * -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """x shifted to the right by some bits, with zeros from the left."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
