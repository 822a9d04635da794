"""Choose device, number format and threads."""

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
from sslcli.console.progress import about
from sslcli.distributed import place, world
from sslcli.errors import StateError
from sslcli.launch import read_launch
from sslcli.training.processor import cpu_model

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that limit torch's threads."""
ENOUGH = 1.3
"""bfloat16 is chosen if it is at least this many times as fast. In hardware it is 2 to 10 times, without at most 0.6 times."""
SIDE, ROUNDS = {"cpu": 256}, 20  # of the square matrices in the measurement, and its repetitions
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cuda", "mps" or "cpu" into an existing device; a StateError names those that exist.

    With several processes each takes its own GPU; on mps they could not communicate.
    """
    mps = torch.backends.mps.is_available() and world() == 1
    there = {"cuda": torch.cuda.is_available(), "mps": mps, "cpu": True}
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    if not there[name]:
        found = " or ".join(kind for kind, is_there in there.items() if is_there)
        raise StateError(
            f"--device {name}: torch finds no such device on this machine; accepted here: auto or {found}; "
            f"type the command again with --device {found}"
        )
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
    """Make every operation give the same bits each time; one that cannot is a RuntimeError. CPUs always do."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA's first product, as its manual requires
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.deterministic = on


def choose_precision(name: str, device: torch.device) -> str:
    """Turn "auto" into "bf16" if the device multiplies that faster, else into "fp32"."""
    if name != "auto":
        return name
    return "bf16" if bfloat16_gain(device.type) >= ENOUGH else "fp32"


def precision_here(recorded: str, device: torch.device) -> str:
    """The precision to run a trained network in: the recorded one, but float32 where bfloat16 is slow."""
    return "fp32" if recorded == "fp32" else choose_precision("auto", device)


@cache
def bfloat16_gain(kind: str) -> float:
    """How many times as fast a kind of device multiplies matrices in bfloat16 as in float32; 0 if it cannot.

    Measured once per process, because flags do not show it: Sapphire Rapids reaches 4 times with AMX, 0.5 times with only
    AVX-512's bfloat16 instructions, and a CPU with neither 0.02 times. It takes 10 ms, or 100 ms where bfloat16 is that slow.
    The minima of interleaved timings on one thread are compared: other programs cannot slow down all of them, so the choice
    is always the same.
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


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what torch draws at random on the device.

    Not by `torch.manual_seed` on a CPU: it first seeds every kind of GPU, which takes about a millisecond where there is none.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """The seconds of one run of a piece of work, including what it leaves on the device."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def use_well(device: torch.device) -> None:
    """Make a CPU compute as fast as it can: as many threads as usable cores, and memory reused from step to step.

    torch counts the machine's cores, not those that a container may use. glibc returns freed blocks above 32 MB to the kernel
    and faults every page in again: this took 2 to 3 % of ResNet-18's step at batch 128 (61,000 faults, then none; seven
    interleaved rounds). Keeping them takes a tenth more memory.
    """
    if device.type != "cpu":
        return
    if not any(map(_holds, THREADS)):
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    if platform.libc_ver()[0] == "glibc":
        keep = ctypes.CDLL(None).mallopt
        if keep(M_MMAP_THRESHOLD, 1 << 30):  # older versions refuse it; then the other does not help
            keep(M_TRIM_THRESHOLD, 2**31 - 1)


def _holds(name: str) -> bool:
    """Whether an environment variable limits torch's threads; of a list of numbers the first counts."""
    return os.environ.get(name, "").partition(",")[0].strip().isdecimal()


def slow_by_choice(device: torch.device, precisions: Sequence[str], *, settled: bool = False) -> list[str]:
    """Settings that make training slower than it could be here, in words, with their remedies; empty if there are none.

    These are one thread on a CPU with more cores, and a precision that is not the fastest here. `settled`: it can no longer
    be changed, so it is only reported if it is many times slower.
    """
    found = []
    cores = usable_cores() // read_launch().local_world  # each process of torchrun gets its share
    if device.type == "cpu" and torch.get_num_threads() == 1 and cores > 1:
        holding = [f"{name}={os.environ[name]}" for name in THREADS if _holds(name)]
        by = f" ({', '.join(holding)})" if holding else ""
        found.append(f"torch uses one thread, but there are {cores} cores{by}; to use all, set OMP_NUM_THREADS={cores}")
    gain = bfloat16_gain(device.type)
    if "fp32" in precisions and gain >= ENOUGH and not settled:
        found.append(f"float32: bfloat16 is {about(gain)} times as fast on this machine; use --precision bf16")
    if "bf16" in precisions and gain < 1:
        why = f"float32 is {about(1 / gain)} times as fast on this machine" if gain else "this device cannot compute in it"
        found.append(f"bfloat16: {why}; " + ("the run started with it and keeps it" if settled else "use --precision fp32"))
    return found


def usable_cores() -> int:
    """The number of cores that this process may use: those it is bound to, or fewer if its group has a CPU quota."""
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return min(bound, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or its quota is "max"
        return bound


def share_of_threads(processes: int) -> int:
    """The threads of each of several processes that share this machine's cores, at most those that the environment allows."""
    limits = [int(os.environ[name].partition(",")[0]) for name in THREADS if _holds(name)]
    return max(1, min([usable_cores() // processes, *limits]))


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """The context manager for a forward pass, in which convolutions and products run in `precision`."""
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def describe(device: torch.device) -> str:
    """The device in words, with the number of threads on a CPU, and of processes if there are several."""
    of_each = f"{world()} processes, each on " if world() > 1 else ""
    if device.type == "cuda":
        return of_each + torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{of_each}{cpu_model()}, {torch.get_num_threads()} threads"
    return device.type


def tell_of_speed(device: torch.device, precisions: Sequence[str], *, settled: bool = False) -> None:
    """Report settings that make training slower than it could be: see `slow_by_choice`."""
    for line in slow_by_choice(device, precisions, settled=settled):
        say(f"slower than it could be: {line}")
