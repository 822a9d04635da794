"""How tests wait, and what they measure instead of seconds, which differ between machines and with what else these do.

A test holds a ratio of processor times taken in turns, a count, or waits for what must come. It reads no clock of its own.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 900.0
"""Seconds until a wait is given up: far more than any machine needs, so that it ends only what would never come."""


def wait_until(true: Callable[[], bool]) -> None:
    """Return when the condition holds; an AssertionError if it never does."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def lasting(look: Callable[[], Counter[str]], looks: int = 3) -> Counter[str]:
    """What each of a few looks sees, a moment apart: what comes and goes is in none of the counts."""
    seen = look()
    for _ in range(looks - 1):
        time.sleep(0.02)
        seen &= look()
    return seen


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a piece of work gives, and its seconds by the clock on the wall: to choose a moment in it by, never to judge it."""
    began = time.monotonic()
    return work(), time.monotonic() - began


def computed(work: Callable[[], object]) -> float:
    """Processor time of a piece of work, with that of child processes that it waits for."""
    began = processor_time()
    work()
    return processor_time() - began


def processor_time() -> float:
    """Seconds that processors have computed for this process and for its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


def times_as_long(work: Callable[[], object], unit: Callable[[], object], *, enough: float, rounds: int = 10) -> float:
    """How many times as long a piece of work computes as another: the least of each, taken in turns.

    No more rounds are taken once the ratio is below `enough`.
    """
    least = [float("inf")] * 2
    for _ in range(rounds):
        least = [min(best, computed(piece)) for best, piece in zip(least, (work, unit), strict=True)]
        if least[0] < enough * least[1]:
            break
    return least[0] / least[1]


def parse_lines(index: Path) -> list[Any]:
    """The least that reading an index can take: its lines, each as JSON."""
    return [json.loads(line[2:]) for line in index.read_text(encoding="utf-8").splitlines() if line.startswith("- {")]


@cache
def _listeners() -> list[list[str]]:
    """Lists to which the name of every file that this process opens is added; Python lets no one stop listening."""
    listeners: list[list[str]] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            for names in listeners:
                names.append(arguments[0])

    sys.addaudithook(hear)
    return listeners


@contextmanager
def opened(folder: Path) -> Iterator[Counter[str]]:
    """How often each file below a folder was opened in the block, by its path in the folder; filled when the block ends."""
    names: list[str] = []
    found: Counter[str] = Counter()
    _listeners().append(names)
    yield found
    _listeners().pop()
    paths = [Path(name) for name in names]
    found.update(str(path.relative_to(folder)) for path in paths if path.is_relative_to(folder) and not path.is_dir())
