"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), after Lavin and Gray, arXiv:1509.09308.

A map is cut into tiles of 4x4 pixels, each read with a border of one pixel. A tile is transformed to 36 numbers, where the
convolution is a matrix product over the channels, and back. All maps here are (B, H, W, channels), contiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

CACHED = 2 << 20
"""Numbers in the tiles of one pass: 8 MB stay in the cache of most CPUs, and give enough rows for a product."""
Columns = Sequence[Tensor]
_G = torch.tensor(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
) / 24  # fmt: skip
_GG = torch.kron(_G, _G)  # (36, 9): a filter of 3x3 to its 36 numbers


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution (B, H, W, O) of x (B, H, W, I) with a weight (O, I, 3, 3), stride 1, padding 1."""
    (height, width), filters = x.shape[1:3], _filters(weight)
    made = x.new_empty(*x.shape[:3], len(weight))
    for part, of in zip(_turns(x), _turns(made, like=x), strict=True):
        numbers = torch.bmm(_flat(_tiles(part)), filters.permute(1, 2, 0))
        of.copy_(_maps(numbers.view(6, 6, len(part), count(height), count(width), -1))[:, :height, :width])
    return made


def gradients(x: Tensor, weight: Tensor, dy: Tensor, *, of_x: bool, of_weight: bool) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of `convolve`'s x and weight, if asked for, from the gradient of its result, dy (B, H, W, O)."""
    (height, width), filters = x.shape[1:3], _filters(weight)
    dx = torch.empty_like(x) if of_x else None
    d_filters = x.new_zeros(36, *weight.shape[:2])
    for at, (part, d_part) in enumerate(zip(_turns(x), _turns(dy, like=x), strict=True)):
        d_numbers = _flat(_tiles_of_maps(d_part))
        if of_weight:
            torch.baddbmm(d_filters, d_numbers.mT, _flat(_tiles(part)), out=d_filters)  # torch counts it, baddbmm_ it does not
        if dx is not None:
            d_tiles = torch.bmm(d_numbers, filters.permute(1, 0, 2))
            found = _overlapped(d_tiles.view(6, 6, len(part), count(height), count(width), -1))
            _turns(dx)[at].copy_(found[:, 1 : height + 1, 1 : width + 1])
    if not of_weight:
        return dx, None
    d_weight = (_GG.T.to(x.dtype) @ d_filters.view(36, -1)).view(3, 3, *weight.shape[:2])
    return dx, d_weight.permute(2, 3, 0, 1)


def count(side: int) -> int:
    """The number of tiles that cover a side."""
    return -(-side // 4)


def _turns(x: Tensor, *, like: Tensor | None = None) -> tuple[Tensor, ...]:
    """Maps in groups that fit `CACHED`."""
    of = x if like is None else like
    return torch.split(x, max(1, CACHED // (36 * count(of.shape[1]) * count(of.shape[2]) * of.shape[3])))


def _flat(numbers: Tensor) -> Tensor:
    """(6, 6, B, h, w, C) as 36 matrices (36, B h w, C)."""
    return numbers.view(36, -1, numbers.shape[-1])


def _filters(weight: Tensor) -> Tensor:
    """A weight (O, I, 3, 3) as its 36 numbers (O, 36, I)."""
    return torch.matmul(_GG.to(weight.dtype), weight.permute(0, 2, 3, 1).reshape(len(weight), 9, -1))


def _tiles(x: Tensor) -> Tensor:
    """Maps (B, H, W, C) as the numbers of their tiles (6, 6, B, h, w, C)."""
    (height, width), (h, w) = x.shape[1:3], map(count, x.shape[1:3])
    padded = nn.functional.pad(x, (0, 0, 1, 4 * w + 1 - width, 1, 4 * h + 1 - height))
    rows = x.new_empty(6, len(x), h, 4 * w + 2, x.shape[3])
    _into_tile([padded[:, k : k + 4 * h - 3 : 4] for k in range(6)], rows)
    numbers = x.new_empty(6, 6, len(x), h, w, x.shape[3])
    _into_tile([rows[:, :, :, k : k + 4 * w - 3 : 4] for k in range(6)], numbers.transpose(0, 1))
    return numbers


def _into_tile(d: Columns, out: Tensor) -> None:
    """Six pixels in a row to six numbers: the paper's B^T."""
    even, odd = d[4] - d[2], d[3] - d[1]
    torch.add(even, d[0] - d[2], alpha=4, out=out[0])
    torch.sub(d[5] - d[3], odd, alpha=4, out=out[5])
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    even, odd = torch.sub(d[4], d[2], alpha=4), torch.sub(d[3], d[1], alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])


def _maps(numbers: Tensor) -> Tensor:
    """Products (6, 6, B, h, w, O) as maps (B, 4 h, 4 w, O)."""
    _, _, images, h, w, channels = numbers.shape
    rows = numbers.new_empty(4, 6, images, h, w, channels)
    _out_of_tile(numbers, rows)
    maps = numbers.new_empty(images, h, 4, w, 4, channels)
    _out_of_tile(rows.transpose(0, 1), maps.permute(4, 2, 0, 1, 3, 5))
    return maps.view(images, 4 * h, 4 * w, channels)


def _out_of_tile(m: Tensor, out: Tensor) -> None:
    """Six products to four pixels: the paper's A^T."""
    near, near_odd, far, far_odd = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    torch.add(near, far, out=out[0]).add_(m[0])
    torch.add(near_odd, far_odd, alpha=2, out=out[1])
    torch.add(near, far, alpha=4, out=out[2])
    torch.add(near_odd, far_odd, alpha=8, out=out[3]).add_(m[5])


def _tiles_of_maps(dy: Tensor) -> Tensor:
    """The gradient of `_maps`' products (6, 6, B, h, w, O), from the gradient of its maps (B, H, W, O)."""
    (height, width), (h, w) = dy.shape[1:3], map(count, dy.shape[1:3])
    if height % 4 or width % 4:
        dy = nn.functional.pad(dy, (0, 0, 0, 4 * w - width, 0, 4 * h - height))
    images, channels = len(dy), dy.shape[3]
    maps = dy.view(images, h, 4, w, 4, channels)
    rows = dy.new_empty(6, images, h, w, 4, channels)
    _back_into_tile([maps[:, :, k] for k in range(4)], rows)
    numbers = dy.new_empty(6, 6, images, h, w, channels)
    _back_into_tile([rows[:, :, :, :, k] for k in range(4)], numbers.transpose(0, 1))
    return numbers


def _back_into_tile(y: Columns, out: Tensor) -> None:
    """Four pixels to six numbers: A."""
    even, odd = y[0] + y[2], y[1] + y[3]
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    even, odd = torch.add(y[0], y[2], alpha=4), torch.add(y[1], y[3], alpha=4)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    out[0].copy_(y[0])
    out[5].copy_(y[3])


def _overlapped(numbers: Tensor) -> Tensor:
    """The gradient of `_tiles`' padded maps (B, 4 h + 2, 4 w + 2, C), from that of the numbers (6, 6, B, h, w, C)."""
    _, _, images, h, w, channels = numbers.shape
    rows = numbers.new_empty(6, images, h, 4 * w + 2, channels)
    _out_of_overlap(numbers.transpose(0, 1), lambda k: rows[:, :, :, k : k + 4 * w - 3 : 4], rows[:, :, :, 4 * w :])
    maps = numbers.new_empty(images, 4 * h + 2, 4 * w + 2, channels)
    _out_of_overlap(rows, lambda k: maps[:, k : k + 4 * h - 3 : 4], maps[:, 4 * h :])
    return maps


def _out_of_overlap(v: Tensor, pixels: Callable[[int], Tensor], border: Tensor) -> None:
    """Six numbers to six pixels, the paper's B, added where tiles overlap: the last two pixels are the next tile's first."""
    near, near_odd, far, far_odd = v[1] + v[2], v[1] - v[2], v[3] + v[4], v[3] - v[4]
    torch.mul(v[0], 4, out=pixels(0))
    torch.sub(v[5], near_odd, out=pixels(1)).mul_(4).sub_(far_odd, alpha=2)
    torch.add(far, v[0], alpha=5, out=pixels(2)).add_(near, alpha=4).neg_()
    torch.add(near_odd, far_odd, alpha=2, out=pixels(3)).sub_(v[5], alpha=5)
    border.zero_()
    pixels(4).add_(v[0]).add_(near).add_(far)
    pixels(5).add_(v[5])
