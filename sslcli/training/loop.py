"""The loop that pretraining, probing and fine-tuning share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sslcli.data.batches import generator
from sslcli.errors import DivergedError
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log

Metrics = dict[str, float]


@dataclass
class Progress:
    """How far a training is: what a checkpoint holds beside the weights and the optimizer."""

    step: int = 0
    seconds: float = 0.0  # spent so far, over all attempts
    total: dict[str, float] = field(default_factory=dict)  # sums over the epoch's steps so far
    history: list[Metrics] = field(default_factory=list)  # one entry an epoch: epoch, step, seconds until then, metrics
    best: dict[str, Any] = field(default_factory=dict)  # the best epoch's number, metrics and weights

    def add(self, values: Metrics) -> None:
        """Count one step's values towards the epoch's means."""
        self.step += 1
        for key, value in {"steps": 1.0, **values}.items():
            self.total[key] = self.total.get(key, 0.0) + value

    def close_epoch(self) -> Metrics:
        """The means over the epoch's steps; counting starts anew."""
        steps = self.total.pop("steps")
        means = {f"train/{key}": value / steps for key, value in self.total.items()}
        self.total = {}
        return means

    def keep_best(self, module: nn.Module, metrics: Metrics) -> None:
        """Copy the weights if this epoch's validation accuracy is the best so far, or equal at a lower loss."""
        if "val/acc" not in metrics:
            return
        score = (metrics["val/acc"], -metrics["val/loss"])
        if not self.best or score > (self.best["metrics"]["val/acc"], -self.best["metrics"]["val/loss"]):
            weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
            self.best = {"metrics": metrics, "weights": weights}


def fit(
    module: nn.Module,
    optimizer: Optimizer,
    *,
    loss_at: Callable[[int], tuple[Tensor, dict[str, Tensor]]],
    lr_at: Callable[[int], float],
    steps: int,
    epoch_steps: int,
    seed: int,
    progress: Progress,
    log: Log,
    stop: Stop,
    save: Callable[[], None],
    evaluate: Callable[[int], Metrics],
    after_step: Callable[[float], None] = lambda _: None,
) -> None:
    """Train `module` from `progress.step` to `steps`.

    `loss_at(step)` gives the loss and scalars worth averaging over the epoch, `lr_at(step)` the rate; both depend on
    the step alone. After every epoch of `epoch_steps` comes `evaluate(epoch)`, and the best epoch's weights are kept
    where it measures `val/acc`. `save()` is called every few minutes, at a request to stop, and at the end.
    """
    module.train()
    began = time.monotonic() - progress.seconds
    while progress.step < steps:
        step = progress.step
        with stop.deferred():
            rate = lr_at(step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            torch.manual_seed(generator(seed, "model", step).initial_seed())  # dropout and the like
            loss, scalars = loss_at(step)
            if not math.isfinite(value := loss.item()):
                raise DivergedError(f"training diverged: the loss is {value} at step {step}, at rate {rate:.3g}")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step((step + 1) / steps)
            progress.add({"loss_epoch": value, **{key: float(scalar) for key, scalar in scalars.items()}})
            log.step(progress.step, loss=value, lr=rate)
            progress.seconds = time.monotonic() - began
            if progress.step % epoch_steps == 0 or progress.step == steps:
                epoch = -(-progress.step // epoch_steps)
                metrics = {**progress.close_epoch(), **evaluate(epoch)}
                module.train()
                progress.seconds = time.monotonic() - began
                progress.history.append({"epoch": epoch, "step": progress.step, "seconds": progress.seconds, **metrics})
                progress.keep_best(module, progress.history[-1])
                log.epoch(progress.step, metrics)
            if stop.requested or log.save_is_due() or progress.step == steps:
                save()
