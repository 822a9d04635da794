"""The loop that pretraining, probing and fine-tuning share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sslcli.data.batches import generator
from sslcli.distributed import average_gradients, rank
from sslcli.errors import DivergedError
from sslcli.training.device import seed_draws
from sslcli.training.finite import hold_to_numbers
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log

Metrics = dict[str, float]
LOOK_EVERY = {"cpu": (1, 0.0)}
"""Steps and seconds between two checks of the losses, by kind of device. An asynchronous device has to wait for each."""
LOOK_ELSEWHERE = (10, 0.5)


def measured(epoch: Metrics) -> Metrics:
    """What was measured after an epoch, from the entry of the history, by the names of a record's metrics."""
    return {name.replace("/", "_"): value for name, value in epoch.items() if name.startswith(("val/", "watch/"))}


class Best(TypedDict, total=False):
    """The history entry and the weights of the best epoch; empty before the first validation."""

    metrics: Metrics
    weights: dict[str, Tensor]


class Held(TypedDict):
    """The fields of a Progress in a checkpoint."""

    step: int
    seconds: float
    total: Metrics
    history: list[Metrics]
    best: Best


@dataclass
class Progress:
    """The progress of a training: what a checkpoint holds beside the weights and the optimizer."""

    step: int = 0
    seconds: float = 0.0  # spent so far, over all attempts
    total: dict[str, float] = field(default_factory=dict)  # sums over the epoch's steps so far
    history: list[Metrics] = field(default_factory=list)  # one entry per epoch: epoch, step, seconds until then, metrics
    best: Best = field(default_factory=Best)

    def held(self) -> Held:
        """The same for a checkpoint."""
        return {"step": self.step, "seconds": self.seconds, "total": self.total, "history": self.history, "best": self.best}

    def add(self, values: Metrics) -> None:
        """Add one step's values to the epoch's means."""
        for key, value in {"steps": 1.0, **values}.items():
            self.total[key] = self.total.get(key, 0.0) + value

    def close_epoch(self) -> Metrics:
        """The means over the epoch's steps; the counters are reset."""
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


def take_steps(
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
    before_step: Callable[[float], None] = lambda _: None,
    after_step: Callable[[float], None] = lambda _: None,
) -> None:
    """Train `module` from `progress.step` to `steps`.

    `loss_at(step)` gives the loss and scalars to average over the epoch, `lr_at(step)` the learning rate; both depend only on
    the step. `evaluate(epoch)` is called after every `epoch_steps` steps; if it measures `val/acc`, the best epoch's weights
    are kept. `save()` is called every few minutes, at a request to stop, and at the end. Between two checks of the losses
    nothing waits for the device; a loss that is not a number is a DivergedError at the next check, a weight before `evaluate`.
    """
    module.train()
    began = time.monotonic() - progress.seconds
    device = next(module.parameters()).device
    look_steps, look_seconds = LOOK_EVERY.get(device.type, LOOK_ELSEWHERE)
    unseen: list[dict[str, Tensor]] = []
    looked = time.monotonic()

    def look() -> None:
        """Copy the losses since the last check to the host, check that they are numbers, add and show them."""
        nonlocal looked
        columns = {key: torch.stack([scalars[key] for scalars in unseen]).tolist() for key in (unseen or [{}])[0]}
        for i, step in enumerate(range(progress.step - len(unseen), progress.step)):
            values = {key: column[i] for key, column in columns.items()}
            if not math.isfinite(loss := values["loss_epoch"]):
                raise DivergedError(f"training diverged: the loss is {loss} at step {step}, at learning rate {lr_at(step):.3g}")
            progress.add(values)
            log.step(step + 1, loss=loss, lr=lr_at(step))
        if unseen:
            log.show(progress.step, loss=loss)
        unseen.clear()
        looked = time.monotonic()
        progress.seconds = looked - began

    while progress.step < steps:
        step = progress.step
        with stop.deferred():
            for group in optimizer.param_groups:
                group["lr"] = group.get("constant_lr") or lr_at(step) * group["lr_scale"]
            seed_draws(generator(seed, "model", step, rank()).initial_seed(), device)  # dropout and the like
            loss, scalars = loss_at(step)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            average_gradients(module)
            before_step(step / steps)
            optimizer.step()
            after_step((step + 1) / steps)
            progress.step += 1
            unseen.append({"loss_epoch": loss.detach(), **scalars})
            if len(unseen) >= look_steps and time.monotonic() - looked >= look_seconds:
                look()
            if progress.step % epoch_steps == 0 or progress.step == steps:
                look()
                epoch = -(-progress.step // epoch_steps)
                hold_to_numbers(module.state_dict())  # the loss was computed before the step
                metrics = {**progress.close_epoch(), **evaluate(epoch)}
                module.train()
                progress.seconds = time.monotonic() - began
                progress.history.append({"epoch": epoch, "step": progress.step, "seconds": progress.seconds, **metrics})
                progress.keep_best(module, progress.history[-1])
                log.epoch(progress.step, metrics)
            if stop.agreed() or log.save_is_due() or progress.step == steps:
                look()
                save()
    stop.heed()
