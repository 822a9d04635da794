"""CUDA graphs: record the hundreds of kernels of a step once, then launch them together.

Networks for small images are so fast on a large GPU that it waits for the host: see docs/gpu.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sslcli.training.step import Batch, Loss, Training

WARM_UP = 3
"""Calls that run normally before the next one is recorded; then workspaces and compiled code exist."""

Work = Callable[..., list[Tensor]]
Replay = Callable[[], None]


def record(work: Work, inputs: Sequence[Tensor], pool: Any) -> tuple[list[Tensor], Replay]:
    """Record work on these inputs on a GPU: its outputs, and a function that repeats it with the inputs' new values.

    Recording itself computes nothing.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        outputs = work(*inputs)
    return outputs, graph.replay


@dataclass
class Recorded:
    """Pieces of work, by key, that run normally at first and are then replayed.

    A piece must do the same operations each time (only the values of its inputs change), and must not wait for the device.
    Its next replay overwrites its outputs. Pieces with the same `pool` share scratch memory, so they must run in turn.
    """

    pool: Any = None
    seen: dict[Hashable, int] = field(default_factory=dict)
    made: dict[Hashable, tuple[list[Tensor], list[Tensor], Replay]] = field(default_factory=dict)

    @classmethod
    def in_one_pool(cls) -> Recorded:
        """Pieces that share their memory."""
        return cls(torch.cuda.graph_pool_handle())

    def run(self, work: Work, inputs: Sequence[Tensor], *, key: Hashable) -> list[Tensor]:
        """The outputs of the work for these inputs; a key identifies the work and the shapes of its inputs."""
        if key not in self.made:
            self.seen[key] = self.seen.get(key, 0) + 1
            if self.seen[key] <= WARM_UP:
                return work(*inputs)
            own = [given.clone() for given in inputs]
            self.made[key] = own, *record(work, own, self.pool)
        own, outputs, replay = self.made[key]
        for mine, given in zip(own, inputs, strict=True):
            mine.copy_(given)
        replay()
        return outputs


def captured(training: Training) -> Training:
    """The training with loss and gradients recorded and replayed, for each size of the views."""
    recorded = Recorded()
    parameters = [p for p in training.module.parameters() if p.requires_grad]
    anchor = torch.zeros((), requires_grad=True, device=parameters[0].device)
    names: list[str] = []
    moving: list[nn.Parameter] = []

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        _, rows, step = batch

        def work(*inputs: Tensor) -> list[Tensor]:
            """The loss, the scalars, and the gradients of all parameters."""
            for p in parameters:
                p.grad = None
            loss, scalars = training.loss_of(list(inputs[:-1]), (inputs[0], inputs[-1], step))
            loss.backward()  # type: ignore[no-untyped-call]
            names[:], moving[:] = scalars, [p for p in parameters if p.grad is not None]
            return [loss.detach(), *scalars.values(), *(p.grad for p in moving if p.grad is not None)]

        made = recorded.run(work, [*views, rows], key=tuple(view.shape for view in views))
        scalars = {name: value.clone() for name, value in zip(names, made[1:], strict=False)}
        return _Known.apply(anchor, made[0], moving, made[1 + len(names) :]), scalars

    return replace(training, loss_of=loss_of, not_replayed=training)


class _Known(torch.autograd.Function):
    """A loss whose gradients are already known; backward() passes them on."""

    @staticmethod
    def forward(ctx: Any, _: Tensor, loss: Tensor, parameters: list[nn.Parameter], gradients: list[Tensor]) -> Tensor:
        ctx.parameters, ctx.gradients = parameters, gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[None, ...]:
        for p, gradient in zip(ctx.parameters, ctx.gradients, strict=True):
            p.grad = gradient
        return None, None, None, None
