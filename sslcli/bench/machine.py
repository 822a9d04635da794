"""The class of this machine, by which the docs name their minutes, and what was measured for that class."""

from __future__ import annotations

import platform

import torch

from sslcli.training.device import ENOUGH, bfloat16_gain

MEASURED = {
    "avx2": "the demo, cifar10-laptop, league, speedrun-30s, others with --minutes, on two cores",
    "avx512": "nothing yet",
    "bf16": "the demo, cifar10-cpu, the speedruns and --minutes, on two cores",
    "arm": "nothing yet",
    "cuda": "cifar10-10min, on one H100 (docs/gpu.md)",
}
"""Each class of machine to what was measured for it, in the order of docs/speed.md."""


def machine_class(device: torch.device) -> str:
    """The class of the machine whose `device` computes: what multiplies fast there is measured, not read from a flag."""
    if device.type == "cuda":
        return "cuda"
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "arm"
    if bfloat16_gain("cpu") >= ENOUGH:
        return "bf16"
    return "avx512" if "AVX512" in torch.backends.cpu.get_cpu_capability() else "avx2"


def class_in_words(name: str) -> str:
    """The class, what was measured for it, and where to read on."""
    return f"class of this machine: {name}; measured for it: {MEASURED[name]}; see docs/speed.md"
