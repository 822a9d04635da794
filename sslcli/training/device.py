"""Where and how to compute: device, number format, memory format."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from sslcli.distributed import place, world
from sslcli.errors import StateError
from sslcli.launch import read_launch

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that hold torch to fewer threads."""
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
            f"--device cuda: {processes} processes on this machine and {gpus} GPUs; accepted is at most a process a GPU, "
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
    """Turn "auto" into "bf16" where the device multiplies it in hardware, else into "fp32"."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_multiplies_bfloat16() else "fp32"


def _cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for it, and oneDNN, which computes torch's products, uses them.

    ONEDNN_MAX_CPU_ISA=AVX2 forbids it to: then such products are hundreds of times slower, as on a CPU without them.
    """
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16")) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


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


def slow_by_choice(device: torch.device, precision: str | None) -> list[str]:
    """What makes a training slower than this machine is, in words, with what changes it; empty if nothing does.

    One thread on a CPU where more can run, and float32 where bfloat16 is multiplied in hardware. `precision` None: it is not
    to be chosen.
    """
    found = []
    cores = usable_cores() // read_launch().local_world  # each process of torchrun's has its share
    if device.type == "cpu" and torch.get_num_threads() == 1 and cores > 1:
        holding = [f"{name}={os.environ[name]}" for name in THREADS if _holds(name)]
        by = f" ({', '.join(holding)})" if holding else ""
        found.append(f"torch computes on one thread, of {cores} cores{by}; to use all, set OMP_NUM_THREADS={cores}")
    if precision == "fp32" and choose_precision("auto", device) == "bf16":
        found.append("float32, where this machine multiplies bfloat16 in hardware, about twice as fast: --precision bf16")
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
