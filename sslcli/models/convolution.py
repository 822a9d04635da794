"""3x3 convolutions on a CPU as matrix products: on small maps without the zeros of the padding, on others by Winograd."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sslcli.models import winograd

Module = TypeVar("Module", bound=nn.Module)
DENSE = 2  # the largest side of a map that is treated as a vector: there every tap of a filter reads at most one pixel
SMALL = {torch.bfloat16: 4, torch.float32: 3}
"""The largest side of an output for which matrix products are faster for the weights' gradient, by number format."""
FEWEST, MANY = (
    64,
    512,
)  # input channels: with fewer, products are too thin; on 4x4 pixels with stride 1 the second number is needed

WORTH_IT = {"AVX2": 64 * 128, "AVX512": 256 * 256}
"""The number of weights per tap from which Winograd is faster, by the instructions that torch uses on this CPU."""
WASTE = 1.8  # the pixels of the tiles may be this many times those of the map


def quicken(module: nn.Module) -> None:
    """Make every plain 3x3 convolution in the module use the faster of two ways on a CPU; names and weights stay.

    Forward and backward together, this was 2.5 to 9 times as fast on maps of 2x2 and 1x1 pixels, and 1.1 to 1.7 times on
    larger ones (`python -m tests.benchmarks.convolution`, two threads of an EPYC, Zen 4): oneDNN multiplies the padding too,
    and is slow at the gradient of such weights.
    """
    for name, child in module.named_children():
        if type(child) is nn.Conv2d and _is_plain(child):
            setattr(module, name, QuickConv2d(child))
        quicken(child)


def use_winograd(module: nn.Module, *, on: bool) -> None:
    """Let the module's convolutions train with Winograd where it is faster, or not: its sums round differently."""
    for part in module.modules():
        if isinstance(part, QuickConv2d):
            part.winograd = on


def plain_convolutions(module: Module) -> Module:
    """A copy of a module with torch's own convolutions, for tools that read a network operation by operation."""
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
    """A 3x3 convolution (B, I, H, W) to (B, O, H', W'), padding 1, no bias; on a CPU in the faster way.

    Without gradients it is torch's own except on small maps, so a network gives the same bits however it was trained.
    """

    def __init__(self, like: nn.Conv2d) -> None:
        super().__init__(like.in_channels, like.out_channels, 3, device="meta")
        vars(self).update(vars(like))
        self.winograd = True

    def forward(self, input: Tensor) -> Tensor:
        """The convolution, in the number format that autocast asks for."""
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        side = _out(max(input.shape[-2:]), self.stride[0])
        thin = side == SMALL[torch.bfloat16] and self.stride[0] == 1 and self.in_channels < MANY
        if input.device.type == "cpu" and side <= SMALL.get(dtype, DENSE) and not thin:
            made: Tensor = _Product.apply(input.to(dtype), self.weight.to(dtype), self.stride[0])
        elif self._winograd_is_quicker(input, dtype):
            made = _Winograd.apply(input, self.weight)
        else:
            made = super().forward(input)
        return made

    def _winograd_is_quicker(self, x: Tensor, dtype: torch.dtype) -> bool:
        """Whether Winograd is faster, forward and backward together. Only in float32: in bfloat16 its sums round too coarsely.

        torch.compile and tracing, which read the network operation by operation, get torch's own.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return False
        if not (self.winograd and torch.is_grad_enabled() and x.device.type == "cpu" and self.stride == (1, 1)):
            return False
        least = WORTH_IT.get(torch.backends.cpu.get_cpu_capability())
        (height, width), pixels = x.shape[-2:], 16 * winograd.count(x.shape[-2]) * winograd.count(x.shape[-1])
        enough = least is not None and self.in_channels * self.out_channels >= least
        return enough and x.dtype == dtype == torch.float32 and pixels <= WASTE * height * width


class _Product(torch.autograd.Function):
    """The convolution with channels last. The sums are torch's, in another order."""

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


class _Winograd(torch.autograd.Function):
    """The convolution with channels last, stride 1. The sums agree with torch's to four digits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return winograd.convolve(_last(x).contiguous(), weight).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = ctx.needs_input_grad
        maps = _last(x).contiguous(), weight, _last(dy).contiguous()
        dx, d_weight = winograd.gradients(*maps, of_x=of_x, of_weight=of_weight)
        return None if dx is None else dx.permute(0, 3, 1, 2), d_weight


def _out(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


def _last(x: Tensor) -> Tensor:
    """Move the channels to the end, where they already are in memory."""
    return x.permute(0, 2, 3, 1)


def _as_matrix(weight: Tensor, height: int, width: int, stride: int) -> Tensor:
    """The matrix (H' W' O, H W I) that maps a whole map with channels last to its convolution; sides of at most DENSE.

    Every pixel of the input reaches every pixel of the output through one tap of the filter.
    """
    taps = _last(weight)
    return torch.cat([
        taps[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width].reshape(len(weight), -1)
        for y in range(0, height, stride) for x in range(0, width, stride)
    ])  # fmt: skip


def _weight_gradient(x: Tensor, dy: Tensor, stride: int) -> Tensor:
    """The gradient (O, I, 3, 3) of the weights: for each tap a product over the pixels that it reaches, without padding."""
    x, dy = _last(x), _last(dy)
    gradient = x.new_empty(dy.shape[-1], 3, 3, x.shape[-1])
    for row in range(3):
        down, from_y = _reach(row, x.shape[1], stride)
        for column in range(3):
            right, from_x = _reach(column, x.shape[2], stride)
            gradient[:, row, column] = dy[:, down, right].flatten(0, 2).mT @ x[:, from_y, from_x].flatten(0, 2)
    return gradient.permute(0, 3, 1, 2)


def _reach(tap: int, side: int, stride: int) -> tuple[slice, slice]:
    """Along one side: the output pixels that a tap contributes to, and the input pixels that it reads for them.

    Output pixel o reads input pixel o stride + tap - 1.
    """
    first = 1 if tap == 0 else 0
    read = range(first * stride + tap - 1, side, stride)[: _out(side, stride) - first]
    return slice(first, first + len(read)), slice(read.start, read.stop, stride)
