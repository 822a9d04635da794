"""Benchmarks, each a command: `python -m tests.benchmarks.step`, `python -m tests.benchmarks.growth`. Here: what they share.

This file imports no torch, so that who starts processes stays small.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TypeVar

from sslcli.training.processor import cpu_model

T = TypeVar("T")


def interleave(programs: Mapping[str, Callable[[], T]], *, rounds: int, warm_up: int) -> dict[str, list[T]]:
    """Run A B C A B C …: whatever else the machine does meanwhile slows all of them. What each returned, by round.

    The first `warm_up` rounds are run and left out.
    """
    made: dict[str, list[T]] = {name: [] for name in programs}
    for number in range(warm_up + rounds):
        for name, program in programs.items():
            result = program()
            if number >= warm_up:
                made[name].append(result)
        print(f"round {number + 1} of {warm_up + rounds}", file=sys.stderr, flush=True)
    return made


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times as fast, round by round: the two of a round ran within seconds of each other."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def options_of_representations(command: str, about: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a benchmark that reads a pretrained encoder's representations of CIFAR-10."""
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=about.splitlines()[0])
    parser.add_argument("--project", type=Path, default=Path(), help="project with a run pretrained on CIFAR-10")
    parser.add_argument("--run", help="which run; default: the newest pretrain run")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser.parse_args(arguments)


def options_of_simulation(about: str | None, **counts: tuple[int, str]) -> argparse.Namespace:
    """The options of a benchmark that simulates studies: how many of each kind, by default and in words, and the page."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (usual, words) in counts.items():
        parser.add_argument(f"--{name}", type=int, default=usual, help=words)
    parser.add_argument("--write", type=Path, help="the Markdown page to write, or its section")
    return parser.parse_args()


def spread(values: Sequence[float]) -> str:
    """Median and range in words: 2.61 (2.55 to 2.70)."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def machine(command: str, *packages: str) -> str:
    """The line that a measured number needs beside it: processor, cores, system, versions, date, command."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", *packages))
    return (
        f"{cpu_model()}, {cores()} of {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{versions}; {datetime.now(UTC):%Y-%m-%d}; {' '.join(['python -m', command, *sys.argv[1:]])}"
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
