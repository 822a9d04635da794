"""3x3 convolutions of small maps on a CPU, as matrix products: what oneDNN computes, without the zeros of the padding."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Module = TypeVar("Module", bound=nn.Module)
DENSE = 2  # the largest side of a map that is seen as a vector: there every tap of a filter reads one pixel or none
SMALL = {torch.bfloat16: 4, torch.float32: 3}
"""The largest side of an output for which products give the gradient of the weights sooner, by number format."""
FEWEST, MANY = 64, 512  # input channels: with fewer products are too thin; so many they must be on 4x4 pixels with stride 1


def quicken(module: nn.Module) -> None:
    """Have every plain 3x3 convolution within the module take the quicker of two ways on a CPU; names and weights stay.

    Forward and backward together, the way taken here was 2.5 to 9 times as fast on maps of 2x2 and 1x1 pixels, 1.1 to 1.7
    times on larger ones (`python -m tests.benchmarks.convolution`, two threads of an EPYC, Zen 4): oneDNN multiplies padding,
    and is slow at such a weight's gradient.
    """
    for name, child in module.named_children():
        if type(child) is nn.Conv2d and _is_plain(child):
            setattr(module, name, QuickConv2d(child))
        quicken(child)


def plain_convolutions(module: Module) -> Module:
    """A copy of a module with torch's own convolutions, for what reads a net operation by operation."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            if isinstance(child, QuickConv2d):
                plain = nn.Conv2d(child.in_channels, child.out_channels, 3, device="meta")
                vars(plain).update(vars(child))
                setattr(parent, name, plain)
    return copied


def _is_plain(convolution: nn.Conv2d) -> bool:
    shape = (convolution.kernel_size, convolution.padding, convolution.dilation, convolution.groups, convolution.bias)
    square = convolution.stride in ((1, 1), (2, 2)) and convolution.padding_mode == "zeros"
    return shape == ((3, 3), (1, 1), (1, 1), 1, None) and square and convolution.in_channels >= FEWEST


class QuickConv2d(nn.Conv2d):
    """A 3x3 convolution (B, I, H, W) to (B, O, H', W'), padding 1, no bias; torch's own but for small maps on a CPU."""

    def __init__(self, like: nn.Conv2d) -> None:
        super().__init__(like.in_channels, like.out_channels, 3, device="meta")
        vars(self).update(vars(like))

    def forward(self, input: Tensor) -> Tensor:
        """The convolution, in the number format that autocast asks for."""
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        side = _out(max(input.shape[-2:]), self.stride[0])
        thin = side == SMALL[torch.bfloat16] and self.stride[0] == 1 and self.in_channels < MANY
        if input.device.type != "cpu" or side > SMALL.get(dtype, DENSE) or thin:
            return super().forward(input)
        made: Tensor = _Product.apply(input.to(dtype), self.weight.to(dtype), self.stride[0])
        return made


class _Product(torch.autograd.Function):
    """The convolution with channels last. Sums are those of torch's convolution, in another order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.stride, ctx.dense = stride, max(x.shape[-2:]) <= DENSE
        if not ctx.dense:
            ctx.save_for_backward(x, weight)
            return torch.conv2d(x, weight, stride=stride, padding=1)
        images, (height, width) = len(x), x.shape[-2:]
        matrix = _as_matrix(weight, height, width, stride)
        ctx.save_for_backward(x, matrix)
        y = _last(x).reshape(images, -1) @ matrix.mT
        return y.view(images, _out(height, stride), _out(width, stride), len(weight)).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx = None
        if ctx.needs_input_grad[0] and ctx.dense:
            dx = (_last(dy).reshape(len(dy), -1) @ weight).view(_last(x).shape).permute(0, 3, 1, 2)
        elif ctx.needs_input_grad[0]:
            sides, only_dx = [ctx.stride] * 2, [True, False, False]
            dx = torch.ops.aten.convolution_backward(dy, x, weight, None, sides, [1, 1], [1, 1], False, [0, 0], 1, only_dx)[0]
        return dx, _weight_gradient(x, dy, ctx.stride) if ctx.needs_input_grad[1] else None, None


def _out(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


def _last(x: Tensor) -> Tensor:
    """Channels moved to the end, where they are in memory."""
    return x.permute(0, 2, 3, 1)


def _as_matrix(weight: Tensor, height: int, width: int, stride: int) -> Tensor:
    """The matrix (H' W' O, H W I) that maps a whole map with channels last to its convolution; sides of at most DENSE.

    Each pixel of the output is reached by each of the input, by one tap of the filter.
    """
    taps = _last(weight)
    return torch.cat([
        taps[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width].reshape(len(weight), -1)
        for y in range(0, height, stride) for x in range(0, width, stride)
    ])  # fmt: skip


def _weight_gradient(x: Tensor, dy: Tensor, stride: int) -> Tensor:
    """The gradient (O, I, 3, 3) of the weights: for each tap a product over the pixels that it reaches, none of padding."""
    x, dy = _last(x), _last(dy)
    gradient = x.new_empty(dy.shape[-1], 3, 3, x.shape[-1])
    for row in range(3):
        down, from_y = _reach(row, x.shape[1], stride)
        for column in range(3):
            right, from_x = _reach(column, x.shape[2], stride)
            gradient[:, row, column] = dy[:, down, right].flatten(0, 2).mT @ x[:, from_y, from_x].flatten(0, 2)
    return gradient.permute(0, 3, 1, 2)


def _reach(tap: int, side: int, stride: int) -> tuple[slice, slice]:
    """Along one side: the pixels of the output that a tap serves, and those of the input that it reads for them.

    Pixel o of the output reads pixel o stride + tap - 1 of the input.
    """
    first = 1 if tap == 0 else 0
    read = range(first * stride + tap - 1, side, stride)[: _out(side, stride) - first]
    return slice(first, first + len(read)), slice(read.start, read.stop, stride)
