"""Where and how to compute: device, number format, memory format."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path

import torch

from sslcli.console.messages import say
from sslcli.distributed import place, world
from sslcli.errors import StateError
from sslcli.launch import read_launch

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that hold torch to fewer threads."""
ENOUGH = 1.3
"""So many times as fast bfloat16 must be to be chosen. In hardware it is 2 to 10 times as fast, without 0.6 times at most."""
SIDE, ROUNDS = {"cpu": 256}, 20  # of the square matrices that are multiplied to find out, and how often
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cuda", "mps" or "cpu" into a device that is there; a StateError names those that are.

    Of several processes each takes a GPU of its own; on mps they could not talk.
    """
    mps = torch.backends.mps.is_available() and world() == 1
    there = {"cuda": torch.cuda.is_available(), "mps": mps, "cpu": True}
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    if not there[name]:
        found = " or ".join(kind for kind, is_there in there.items() if is_there)
        raise StateError(f"--device {name}: torch finds no such device on this machine; accepted here: auto or {found}")
    return _own_gpu() if name == "cuda" and world() > 1 else torch.device(name)


def _own_gpu() -> torch.device:
    (this, processes), gpus = place(), torch.cuda.device_count()
    if processes > gpus:
        raise StateError(
            f"--device cuda: {processes} processes for {gpus} GPUs on this machine; accepted is at most one process per GPU: "
            f"torchrun --nproc-per-node {gpus}, or --device cpu"
        )
    torch.cuda.set_device(this)
    return torch.device("cuda", this)


def be_deterministic(*, on: bool) -> None:
    """Have every operation give the same bits each time; one that cannot is a RuntimeError. CPUs do so anyway."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA's first product, as its manual asks
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.deterministic = on


def choose_precision(name: str, device: torch.device) -> str:
    """Turn "auto" into "bf16" where the device multiplies it faster, else into "fp32"."""
    if name != "auto":
        return name
    return "bf16" if bfloat16_gain(device.type) >= ENOUGH else "fp32"


def precision_here(recorded: str, device: torch.device) -> str:
    """What to compute in where a trained net is only read: the precision on record, but float32 where bfloat16 is slow."""
    return "fp32" if recorded == "fp32" else choose_precision("auto", device)


@cache
def bfloat16_gain(kind: str) -> float:
    """How many times as fast a kind of device multiplies matrices in bfloat16 as in float32; 0 where it cannot.

    Measured, once in a process: flags do not tell. Sapphire Rapids with AMX has 4 times, with AVX-512's instructions for
    bfloat16 alone 0.5 times, a CPU with neither 0.02 times. It takes 10 ms, or 100 ms where bfloat16 is that slow. It is the
    least of interleaved times, on one thread: other programs cannot stretch each of them, so the choice is always the same.
    """
    device, threads = torch.device(kind), torch.get_num_threads()
    side, best = SIDE.get(kind, 2048), {torch.float32: math.inf, torch.bfloat16: math.inf}
    torch.set_num_threads(1)
    try:
        matrices = {dtype: torch.ones(side, side, device=device, dtype=dtype) for dtype in best}
        for turn in range(ROUNDS):
            for dtype, matrix in matrices.items():
                best[dtype] = min(best[dtype], seconds_of(partial(torch.matmul, matrix, matrix), device))
            if turn >= 2 and best[torch.bfloat16] > 4 * best[torch.float32]:
                break
    except (RuntimeError, TypeError):  # macOS before 14 has no bfloat16 on mps
        return 0.0
    finally:
        torch.set_num_threads(threads)
    return best[torch.float32] / best[torch.bfloat16]


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """How long a piece of work takes, once, with what it leaves on the device."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def use_well(device: torch.device) -> None:
    """Have a CPU compute as fast as it can: no more threads than cores are ours, and memory kept from step to step.

    torch counts the machine's cores, not those that a container may use. glibc gives blocks above 32 MB back to the kernel
    when they are freed, and fetches each page anew: of ResNet-18's step at batch 128 that was 2 to 3 % (61,000 faults, then
    none; seven interleaved rounds). Kept, it is a tenth more memory.
    """
    if device.type != "cpu":
        return
    if not any(map(_holds, THREADS)):
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    if platform.libc_ver()[0] == "glibc":
        keep = ctypes.CDLL(None).mallopt
        if keep(M_MMAP_THRESHOLD, 1 << 30):  # older versions refuse it, and then the other is of no use
            keep(M_TRIM_THRESHOLD, 2**31 - 1)


def _holds(name: str) -> bool:
    """Whether an environment variable holds torch to a number of threads; of a list of numbers the first counts."""
    return os.environ.get(name, "").partition(",")[0].strip().isdecimal()


def slow_by_choice(device: torch.device, precisions: Sequence[str], *, settled: bool = False) -> list[str]:
    """What makes trainings slower than this machine is, in words, with what changes it; empty if nothing does.

    One thread on a CPU where more can run, and a precision that is not the fastest here. `settled`: it cannot be changed any
    more, and is told where it is many times slower.
    """
    found = []
    cores = usable_cores() // read_launch().local_world  # each process of torchrun's has its share
    if device.type == "cpu" and torch.get_num_threads() == 1 and cores > 1:
        holding = [f"{name}={os.environ[name]}" for name in THREADS if _holds(name)]
        by = f" ({', '.join(holding)})" if holding else ""
        found.append(f"torch computes on one thread, of {cores} cores{by}; to use all, set OMP_NUM_THREADS={cores}")
    gain = bfloat16_gain(device.type)
    if "fp32" in precisions and gain >= ENOUGH and not settled:
        found.append(f"float32: bfloat16 is {gain:.2g} times as fast on this machine; use --precision bf16")
    if "bf16" in precisions and gain < 1:
        why = f"float32 is {1 / gain:.2g} times as fast on this machine" if gain else "this device cannot compute in it"
        found.append(f"bfloat16: {why}; " + ("the run began with it and keeps it" if settled else "use --precision fp32"))
    return found


def usable_cores() -> int:
    """How many cores this process may use: those it is bound to, or fewer where its group has a share of time."""
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return min(bound, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or its quota is "max"
        return bound


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """What to wrap a forward pass in, so that convolutions and products run in `precision`."""
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def describe(device: torch.device) -> str:
    """The device in words, with the number of threads where that matters, and of processes where they are several."""
    of_each = f"{world()} processes, each on " if world() > 1 else ""
    if device.type == "cuda":
        return of_each + torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{of_each}{_cpu_model()}, {torch.get_num_threads()} threads"
    return device.type


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def tell_of_speed(device: torch.device, precisions: Sequence[str], *, settled: bool = False) -> None:
    """Say what makes trainings slower than this machine is: see `slow_by_choice`."""
    for line in slow_by_choice(device, precisions, settled=settled):
        say(f"slower than it could be: {line}")
