"""How fast a training's step is here, in its parts, beside the fastest matrix product; and how much memory it takes."""

from __future__ import annotations

import ctypes
import gc
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
from sslcli.training.loop import Progress, fit
from sslcli.training.step import Training

PHASES = ("batch", "augmentation", "forward", "backward", "optimizer")
"""What a step does, in order; forward includes the loss."""
BUDGET = 3.0  # seconds that the repeats of one step may take together
LONG = 4.0  # seconds; a step that takes longer is not repeated
PART = 8  # of its images a step has so much less when it is taken to warm up
SHORT = 0.05  # seconds; steps shorter than this are timed by the dozen, so that what surrounds them does not count
Shape = Sequence[int]
PRODUCT = {"cpu": 2048, "cuda": 8192}  # side of the square matrices whose product is the peak


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """The operations of fused attention, from shapes (..., length, dim): scores, and values weighted by them."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _attention_backward(_: Shape, query: Shape, key: Shape, value: Shape, *__: Any, **___: Any) -> int:
    """Those of its gradients: twice the forward's. That the scores are made again to save memory is not counted."""
    return 2 * _attention(query, key, value)


FUSED = ("flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention")
ATTENTION = {
    getattr(torch.ops.aten, f"_scaled_dot_product_{name}{end}"): count
    for name in FUSED
    for end, count in (("", _attention), ("_backward", _attention_backward))
}
"""What torch's counter does not know (on a CPU), or counts otherwise than the same products one by one (on a GPU)."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step as training takes it, and of each of PHASES; floating-point operations of its matrix products,
    convolutions and attention: augmentation's resizing, forward, backward and the optimizer's."""

    seconds: float
    split: dict[str, float]
    operations: float

    def times(self, factor: float) -> StepTime:
        """Everything multiplied, to make a mean of several."""
        split = {phase: factor * seconds for phase, seconds in self.split.items()}
        return StepTime(factor * self.seconds, split, factor * self.operations)

    def __add__(self, other: StepTime) -> StepTime:
        split = {phase: seconds + other.split[phase] for phase, seconds in self.split.items()}
        return StepTime(self.seconds + other.seconds, split, self.operations + other.operations)


def rough_seconds(training: Training) -> float:
    """The seconds of a whole training, by two steps with an eighth of the images: right within a third or so."""
    part, times = _part_of(_always(training, 0))
    with torch.compiler.set_stance("force_eager"):
        _seconds_a_step(part, 1)
        step = grown(_watched(part, 1, 1), times)
    return step.seconds * training.work_until(training.steps) / training.work_until(1)


def time_step(training: Training, step: int, *, in_part: bool = False, budget: float | None = None) -> StepTime:
    """Time `step` of a training: medians over repeats in the very loop of training, at rate 0, after some to warm up.

    The repeats take `budget` seconds together, or BUDGET. A step that takes longer than LONG is taken once, after two with a
    part of its images to warm up; with `in_part` it is not taken at all, but what the part takes is multiplied.

    Of a step that is replayed on a GPU the whole is timed as it is replayed, and its parts, which together may take longer, as
    they are without.
    """
    whole, same = _always(training, step), _always(training.not_replayed or training, step)
    part, times = _part_of(same)
    compiled = training.module._compiled_call_impl is not None
    with torch.compiler.set_stance("force_eager"):  # of what is compiled no operations can be counted
        _seconds_a_step(part, 1)
        seconds = times * _seconds_a_step(part, 1)
        long = on_first(lambda: seconds > LONG) and not compiled
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
            first = _watched(part if long and in_part else same, 1, 1)
    if long:
        return replace(grown(first, times) if in_part else first, operations=counter.get_total_flops())
    if compiled:
        _seconds_a_step(same, 1)  # it is compiled here
    seconds = on_first(lambda: first.seconds)  # all processes take as many steps
    found = _repeated(whole, same, max(1, min(5, int((budget or BUDGET) / seconds))), 10 if seconds < SHORT else 1)
    return replace(found, operations=counter.get_total_flops())


def _repeated(whole: Training, parts: Training, repeats: int, count: int) -> StepTime:
    """Medians of `repeats` times `count` steps.

    On a device that computes on its own the parts are waited for one by one, and the whole step is timed apart from that.
    """
    found = _watched(parts, repeats, count)
    if next(whole.module.parameters()).device.type == "cpu":
        return found
    return replace(found, seconds=median(_seconds_a_step(whole, max(10, count)) for _ in range(repeats)))


def _watched(training: Training, repeats: int, count: int) -> StepTime:
    """Medians of `repeats` times `count` steps whose parts are waited for one by one."""
    laps = _Laps(next(training.module.parameters()).device)
    with laps.over(training) as watched:
        whole = [_seconds_a_step(watched, count) for _ in range(repeats)]
    return StepTime(median(whole), {phase: median(laps.seconds[phase]) for phase in PHASES}, 0)


def _part_of(training: Training) -> tuple[Training, float]:
    """The training with an eighth of its images, and how many times as many a whole step has."""
    whole = len(training.batch_at(0)[0])
    images = max(2, whole // PART)
    batch_at = training.batch_at
    return replace(training, batch_at=lambda step: tuple(values[:images] for values in batch_at(step))), whole / images


def grown(part: StepTime, times: float) -> StepTime:
    """The time of a step with so many times the images: of all but the optimizer, whose work they do not change."""
    split = {phase: seconds * (1 if phase == "optimizer" else times) for phase, seconds in part.split.items()}
    return StepTime(sum(split.values()), split, 0)


def _always(training: Training, step: int) -> Training:
    """The training as if each step were `step`: with its images and the size of its views."""
    return replace(
        training,
        batch_at=lambda _: training.batch_at(step),
        views_of=lambda _, batch: training.views_of(step, batch),
        lr_at=lambda _: 0.0,
    )


def _seconds_a_step(training: Training, count: int) -> float:
    """Take `count` steps as a run does, without keeping anything; the mean of their seconds."""
    log = Log("", events=None, start=0, steps=count, epoch_steps=count, batch_size=training.batch_size, record_every=count)
    began = time.perf_counter()
    fit(
        training.module, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at,
        before_step=training.before_step, after_step=training.after_step,
        steps=count, epoch_steps=count, seed=training.seed, progress=Progress(), log=log, stop=Stop(),
        save=lambda: None, evaluate=lambda _: {},
    )  # fmt: skip
    return (time.perf_counter() - began) / count


class _Laps:
    """Notes how long each part of every step takes, in `seconds` by phase."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, 0.0
        self.seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    @contextmanager
    def over(self, training: Training) -> Iterator[Training]:
        """The same training, watched."""
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
    """Floating-point operations a second of the fastest of some products of large square matrices, in "bf16" or "fp32"."""
    quick = precision == choose_precision("auto", device) or precision == "fp32"
    side = PRODUCT.get(device.type, 4096) if quick else 512  # else it would take minutes on a CPU
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times = [seconds_of(lambda: a @ b, device) for _ in range(2)]
    while sum(times) < budget:
        times.append(seconds_of(lambda: a @ b, device))
    return 2 * side**3 / min(times)


def forget_peak_memory(device: torch.device) -> None:
    """Have `peak_memory` count from here on, where the system can: on a GPU, and for a process on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # what training keeps from step to step
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak of the resident set
    except OSError:
        return


def peak_memory(device: torch.device) -> int | None:
    """The most memory, in bytes: that torch had allocated on a GPU, else that the whole process had in use; None: unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii", errors="replace"))
        return int(found[1]) * 1024 if found else None
    if sys.platform == "win32":
        return None
    import resource  # which Windows lacks

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts in bytes there, in kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
