"""Batch norm over the batch of all processes. torch's SyncBatchNorm does not take CPU tensors."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sslcli.distributed import rank, total, world


def share_batch_norm(module: nn.Module) -> None:
    """Make every batch norm in the module compute its statistics over the batch of all processes.

    Parameters, buffers and their names stay the same, so a checkpoint fits any number of processes.
    """
    for name, child in module.named_children() if world() > 1 else ():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(module, name, SharedBatchNorm(child))
        share_batch_norm(child)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm of (B, C) or (B, C, H, W) over the images of all processes, which may have different numbers of images.

    In evaluation mode it is torch's batch norm and does not communicate.
    """

    def __init__(self, like: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(like.num_features)
        vars(self).update(vars(like))

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept both kinds of input."""

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input, in the number format of the input."""
        if not self.training:
            return super().forward(input)
        mean, var, count = _moments(input.detach())
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_((var * count / (count - 1)).to(self.running_var.dtype), share)
        weight = torch.ones_like(mean) if self.weight is None else self.weight
        bias = torch.zeros_like(mean) if self.bias is None else self.bias
        normalised: Tensor = _Normalise.apply(input, weight, bias, mean, var, count, self.eps)
        return normalised


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), variance (C,) and number (1,) of the values of all processes in each channel of x (B, C, ...).

    Combined from each process's mean and variance, so that no digits are lost if a mean is large.
    """
    channels, dtype = x.shape[1], torch.promote_types(x.dtype, torch.float32)
    scratch = torch.zeros(2, channels, dtype=dtype, device=x.device)
    mean, var = torch.batch_norm_update_stats(
        x, scratch[0], scratch[1], 0.0
    )  # the fastest way on a CPU, and float32 results for bf16
    everything = x.new_zeros((world(), 2 * channels + 1), dtype=dtype)
    everything[rank()] = torch.cat([mean, var, mean.new_full((1,), x.numel() // channels)])
    means, variances, counts = torch.split(total(everything), [channels, channels, 1], 1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count
    return mean, (counts * (variances + (means - mean) ** 2)).sum(0) / count, count


class _Normalise(torch.autograd.Function):
    """Batch norm with given statistics that depend on the input, on this and on the other processes.

    torch's operation for constant statistics gives most of the gradient; the missing term is
    (sum of dy + x_hat * sum of dy * x_hat) / count, Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, var, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        as_constants = torch.ops.aten.native_batch_norm_backward
        dx, dweight, dbias = as_constants(dy, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True])
        scale = weight * (var + ctx.eps).rsqrt() / count
        sum_dy_x, sum_dy = total(torch.stack([dweight, dbias]))
        dx -= F.batch_norm(x, mean, var, scale * sum_dy_x, scale * sum_dy, eps=ctx.eps)
        return dx, dweight, dbias, None, None, None, None
