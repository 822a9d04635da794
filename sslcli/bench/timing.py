"""The speed of a training's step and its parts here, compared with the fastest matrix product, and its peak memory."""

from __future__ import annotations

import ctypes
import gc
import itertools
import math
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from sslcli.distributed import on_first
from sslcli.training.device import choose_precision, seconds_of, wait_for
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.step import Training

PHASES = ("batch", "augmentation", "forward", "backward", "optimizer")
"""The parts of a step, in order; forward includes the loss."""
BUDGET = 3.0  # seconds for all repeats of one step together
LONG = 4.0  # seconds; a step that takes longer is not repeated
PART = 8  # a step to warm up has 1/PART of the images
SHORT = 0.05  # seconds; shorter steps are timed ten at a time, so that the overhead does not count
Shape = Sequence[int]
PRODUCT = {"cpu": 2048, "cuda": 8192}  # side of the square matrices whose product measures the peak


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """The operations of fused attention, from shapes (..., length, dim): the scores, and the weighted sum of values."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _attention_backward(_: Shape, query: Shape, key: Shape, value: Shape, *__: Any, **___: Any) -> int:
    """The operations of its gradients: twice the forward's. Recomputing the scores to save memory is not counted."""
    return 2 * _attention(query, key, value)


FUSED = ("flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention")
ATTENTION = {
    getattr(torch.ops.aten, f"_scaled_dot_product_{name}{end}"): count
    for name in FUSED
    for end, count in (("", _attention), ("_backward", _attention_backward))
}
"""Operations that torch's counter misses (on a CPU), or counts differently from the same separate products (on a GPU)."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step in training, and of each of PHASES; floating-point operations of its matrix products, convolutions
    and attention, in augmentation (resizing), forward, backward and the optimizer."""

    seconds: float
    split: dict[str, float]
    operations: float

    def times(self, factor: float) -> StepTime:
        """All values multiplied by `factor`, for a weighted mean."""
        split = {phase: factor * seconds for phase, seconds in self.split.items()}
        return StepTime(factor * self.seconds, split, factor * self.operations)

    def __add__(self, other: StepTime) -> StepTime:
        split = {phase: seconds + other.split[phase] for phase, seconds in self.split.items()}
        return StepTime(self.seconds + other.seconds, split, self.operations + other.operations)


def rough_seconds(training: Training) -> float:
    """The seconds of a whole training, within about a third, from two steps with an eighth of the images."""
    part, times = _part_of(_always(training, 0))
    with torch.compiler.set_stance("force_eager"):
        _seconds_a_step(part, 1)
        step = grown(_watched(part, 1, 1), times)
    return step.seconds * training.work_until(training.steps) / training.work_until(1)


def time_step(training: Training, step: int, *, in_part: bool = False, budget: float | None = None) -> StepTime:
    """Time `step` of a training: medians over repeats in the loop of training itself, at rate 0, after a warm-up.

    All repeats together take `budget` seconds, by default BUDGET. A step longer than LONG runs once, after two warm-up steps
    with a part of its images; with `in_part` it is neither run nor compiled, and the time of the part is
    multiplied.

    If the step is replayed on a GPU, the whole is timed with replay and the parts without, so the parts can add up to more.
    """
    whole, same = _always(training, step), _always(training.not_replayed or training, step)
    part, times = _part_of(same)
    compiled = training.module._compiled_call_impl is not None
    with torch.compiler.set_stance("force_eager"):  # operations cannot be counted in compiled code
        _seconds_a_step(part, 1)
        seconds = times * _seconds_a_step(part, 1)
        long = on_first(lambda: seconds > LONG) and (in_part or not compiled)
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
            first = _watched(part if long and in_part else same, 1, 1)
    if long:
        return replace(grown(first, times) if in_part else first, operations=counter.get_total_flops())
    if compiled:
        _seconds_a_step(same, 1)  # compiles it
    seconds = on_first(lambda: first.seconds)  # all processes take the same number of steps
    found = _repeated(whole, same, max(1, min(5, int((budget or BUDGET) / seconds))), 10 if seconds < SHORT else 1)
    return replace(found, operations=counter.get_total_flops())


def _repeated(whole: Training, parts: Training, repeats: int, count: int) -> StepTime:
    """Medians of `repeats` times `count` steps.

    On an asynchronous device, timing the parts waits for each of them, so the whole step is timed separately.
    """
    found = _watched(parts, repeats, count)
    if next(whole.module.parameters()).device.type == "cpu":
        return found
    return replace(found, seconds=median(_seconds_a_step(whole, max(10, count)) for _ in range(repeats)))


def _watched(training: Training, repeats: int, count: int) -> StepTime:
    """Medians of `repeats` times `count` steps, waiting for each part."""
    laps = _Laps(next(training.module.parameters()).device)
    with laps.over(training) as watched:
        whole = [_seconds_a_step(watched, count) for _ in range(repeats)]
    return StepTime(median(whole), {phase: median(laps.seconds[phase]) for phase in PHASES}, 0)


def _part_of(training: Training) -> tuple[Training, float]:
    """The training with 1/PART of its images, and the factor by which a whole step has more."""
    whole = len(training.batch_at(0)[0])
    images = max(2, whole // PART)
    batch_at = training.batch_at
    return replace(training, batch_at=lambda step: tuple(values[:images] for values in batch_at(step))), whole / images


def grown(part: StepTime, times: float) -> StepTime:
    """The time of a step with `times` as many images. The optimizer's time does not depend on them."""
    split = {phase: seconds * (1 if phase == "optimizer" else times) for phase, seconds in part.split.items()}
    return StepTime(sum(split.values()), split, 0)


def _always(training: Training, step: int) -> Training:
    """The training at rate 0 with the view size of `step`, on the images from `step` on: in training they are read ahead."""
    taken = itertools.cycle(range(step, max(step + 1, training.steps)))
    return replace(
        training,
        batch_at=lambda _: training.batch_at(next(taken)),
        views_of=lambda _, batch: training.views_of(step, batch),
        lr_at=lambda _: 0.0,
    )


def _seconds_a_step(training: Training, count: int) -> float:
    """The mean seconds of `count` steps, taken as in a run but without saving anything."""
    log = Log("", events=None, start=0, steps=count, epoch_steps=count, per_step=training.per_step, record_every=count)
    began = time.perf_counter()
    take_steps(
        training.module, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at,
        before_step=training.before_step, after_step=training.after_step,
        steps=count, epoch_steps=count, seed=training.seed, progress=Progress(), log=log, stop=Stop(),
        save=lambda: None, evaluate=lambda _: {},
    )  # fmt: skip
    return (time.perf_counter() - began) / count


class _Laps:
    """Records the seconds of each part of every step, in `seconds` by phase."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, 0.0
        self.seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    @contextmanager
    def over(self, training: Training) -> Iterator[Training]:
        """The same training, with its parts timed."""
        before = training.optimizer.register_step_pre_hook(lambda *_: self._lap("backward"))
        after = training.optimizer.register_step_post_hook(lambda *_: self._lap("optimizer"))
        yield replace(
            training,
            batch_at=self._watched(training.batch_at, "batch", starts=True),
            views_of=self._watched(training.views_of, "augmentation"),
            loss_of=self._watched(training.loss_of, "forward"),
        )
        before.remove()
        after.remove()

    def _watched(self, part: Callable[..., Any], phase: str, *, starts: bool = False) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            if starts:
                wait_for(self.device)
                self.last = time.perf_counter()
            made = part(*arguments)
            self._lap(phase)
            return made

        return watched

    def _lap(self, phase: str) -> None:
        wait_for(self.device)
        now = time.perf_counter()
        self.seconds[phase].append(now - self.last)
        self.last = now


def matmul_peak(device: torch.device, precision: str, *, budget: float = 0.5) -> float:
    """Floating-point operations per second of the fastest of some large square matrix products, in "bf16" or "fp32"."""
    quick = precision == choose_precision("auto", device) or precision == "fp32"
    side = PRODUCT.get(device.type, 4096) if quick else 512  # otherwise it could take minutes on a CPU
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times = [seconds_of(lambda: a @ b, device) for _ in range(2)]
    while sum(times) < budget:
        times.append(seconds_of(lambda: a @ b, device))
    return 2 * side**3 / min(times)


def forget_peak_memory(device: torch.device) -> None:
    """Reset what `peak_memory` returns, where the system can: on a GPU, and for a process on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # returns freed memory to the system
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak of the resident set
    except OSError:
        return


def peak_memory(device: torch.device) -> int | None:
    """The peak memory in bytes: allocated by torch on a GPU, else used by the whole process; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii", errors="replace"))
        return int(found[1]) * 1024 if found else None
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
