"""The processor of this machine. Imports no torch."""

from __future__ import annotations

import platform
from functools import cache


@cache
def cpu_model() -> str:
    """The name of the processor's model, or at least of its kind."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
