"""The training of a run, from its last checkpoint or from the start, to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from sslcli.console.messages import say
from sslcli.distributed import on_first, rank, world
from sslcli.errors import DivergedError, StateError
from sslcli.models.convolution import use_winograd
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import Fixed, State, load_checkpoint, save_checkpoint
from sslcli.training.lifecycle import Stop, hold_to_own
from sslcli.training.log import Log
from sslcli.training.loop import Metrics, Progress, take_steps
from sslcli.training.step import Training


def train(
    registry: Registry,
    run: Run,
    training: Training,
    *,
    stop: Stop,
    evaluate: Callable[[int], Metrics],
    begun: State | None = None,
    fixed: Fixed | None = None,
    marked: State | None = None,
) -> Progress:
    """`take_steps` from the run's last checkpoint, or from the start, with a bar, event files and checkpoints.

    Returns the progress with its history and, if it was validated, the best weights. With several processes only the first
    reads and writes files; the others start from its state. `begun` is the checkpoint, if it was already read. `fixed` are
    measurements from before the first step; every checkpoint holds them, and a resume takes them from there. `marked` is
    what else a checkpoint says about its weights.
    """
    module, optimizer, steps = training.module, training.optimizer, training.steps
    events = registry.path(run.folder)
    run.epochs = round(steps / training.epoch_steps, 3)  # less than asked for under --max-steps
    first = rank() == 0
    state = begun if begun is not None else begun_state(registry, run) if first else {}
    progress = _restored(run, state, module, optimizer, events, of=steps) if first else Progress()
    _begin_alike(module, optimizer, progress)
    saved = progress.step
    winograd = on_first(lambda: not state or "winograd" in state)  # runs of earlier versions continue without it
    use_winograd(module, on=winograd)
    log = Log(
        run.id, events=events if first else None, start=progress.step, steps=steps, epoch_steps=training.epoch_steps,
        per_step=training.per_step, record_every=max(1, min(10, steps // 200)),
        work_until=training.work_until, told=lambda done, left: registry.beat(run, done=done, left=left),
    )  # fmt: skip

    def save() -> None:
        nonlocal saved
        hold_to_own(registry, run)
        log.flush()
        sizes = {path.name: path.stat().st_size for path in events.glob("events.*")}
        state: State = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
        run.history = progress.history
        if fixed:
            state["fixed"] = fixed
        if winograd:
            state["winograd"] = True
        save_checkpoint(registry, run, "last", state | (marked or {}) | {"progress": progress.held(), "events": sizes})
        saved = progress.step

    try:
        with log:
            take_steps(
                module, optimizer, loss_at=training.loss_at, lr_at=training.lr_at, steps=steps,
                epoch_steps=training.epoch_steps, seed=training.seed,
                before_step=training.before_step, after_step=training.after_step,
                progress=progress, log=log, stop=stop, save=save if first else lambda: None, evaluate=evaluate,
            )  # fmt: skip
    except DivergedError as error:
        good = (
            f"the last good checkpoint is {run.folder}/checkpoints/last.pt, of step {saved}" if saved else "no checkpoint yet"
        )
        advice = "try half the learning rate (--lr), or a longer warm-up (--warmup-epochs)"
        raise DivergedError(f"{error}; {good}; {advice}") from error
    except torch.OutOfMemoryError as error:
        smaller = max(2, training.batch_size // 2)  # batch norm needs two images
        advice = f"--batch-size {smaller}" if smaller < training.batch_size else "a smaller --backbone"
        raise StateError(f"out of memory at --batch-size {training.batch_size}; try {advice}") from error
    return progress


def begun_state(registry: Registry, run: Run) -> State:
    """A run's last checkpoint; {} if it has none yet, so that it starts from the beginning."""
    folder = registry.path(f"{run.folder}/checkpoints")
    if any((folder / file).exists() for file in ("last.pt", "previous.pt")):
        return load_last(registry, run)
    if run.attempts[1:]:  # it ended before its first checkpoint was written
        say(f"{run.id}: no checkpoint yet; starting from the beginning")
    run.checkpoints.clear()
    return {}


def _restored(run: Run, state: State, module: nn.Module, optimizer: Optimizer, events: Path, *, of: int) -> Progress:
    """Restore module, optimizer and event files from a checkpoint; without one, reset them."""
    _cut_events(events, state.get("events", {}))
    if not state:
        return Progress()
    module.load_state_dict(state["model"])
    try:
        optimizer.load_state_dict(state["optimizer"])
    except ValueError as error:
        raise StateError(
            f"run {run.id} began with an earlier version of this program, whose optimizer had other groups ({error}); continue "
            "with that version, or start a new run"
        ) from error
    progress = Progress(**state["progress"])
    say(f"{run.id}: continuing from step {progress.step} of {of}")
    return progress


def _begin_alike(module: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Copy module, optimizer and progress of the first process to all others."""
    if world() == 1:
        return
    state = on_first(lambda: (module.state_dict(), optimizer.state_dict(), vars(progress)))
    if rank() > 0:
        module.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
        vars(progress).update(state[2])


def load_last(registry: Registry, run: Run) -> State:
    """The run's last checkpoint; if it is damaged or missing, say so and take the one before it."""
    try:
        return load_checkpoint(registry, run, "last")
    except StateError as error:
        if not run.checkpoints.get("previous.pt"):
            raise
        say(f"ssl: {error}; continuing from previous.pt")
        last = registry.path(f"{run.folder}/checkpoints/last.pt")
        if last.exists():
            last.replace(last.with_name("last.pt.damaged"))  # otherwise the next checkpoint would move it over previous.pt
        return load_checkpoint(registry, run, "previous")


def _cut_events(folder: Path, sizes: dict[str, int]) -> None:
    """Cut the event files back to their size at the checkpoint, so that no step is recorded twice."""
    for path in folder.glob("events.*"):
        if path.name in sizes:
            os.truncate(path, min(sizes[path.name], path.stat().st_size))
        else:
            path.unlink()
