"""How this process was started: what was typed or called, and what torchrun says in the environment. Imports no torch."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sslcli.errors import UsageError

ADVICE = "several processes are started by torchrun; for one, type: unset WORLD_SIZE RANK"

_called: ContextVar[str | None] = ContextVar("called", default=None)


def as_typed() -> str:
    """What a run's record says of how it was made: the line that was typed, or the call in Python."""
    return _called.get() or shlex.join(["ssl", *sys.argv[1:]])


@contextmanager
def called(text: str) -> Iterator[None]:
    """What is done in this block was asked for by a call in Python, `text`."""
    before = _called.set(text)
    try:
        yield
    finally:
        _called.reset(before)


@dataclass(frozen=True)
class Launch:
    """Which of several processes this one is: `rank` of `world` in all, `local_rank` of `local_world` on this machine.

    `attempt` counts how often torchrun has started them anew.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    attempt: int = 0


def read_world() -> int:
    """How many processes the environment says that there are."""
    return _number("WORLD_SIZE", low=1, default=1)


def read_launch() -> Launch:
    """What the environment says, where empty counts as not set; a UsageError if it cannot be so.

    Without WORLD_SIZE there is one process, whatever else is set. Without LOCAL_RANK and LOCAL_WORLD_SIZE each process has a
    machine of its own.
    """
    if not _text("WORLD_SIZE"):
        return Launch()
    if (world := read_world()) == 1:
        return Launch(_number("RANK", high=0, default=0), attempt=_number("TORCHELASTIC_RESTART_COUNT", default=0))
    rank = _number("RANK", high=world - 1)
    _number("MASTER_PORT", low=1, high=65535)
    if not _text("MASTER_ADDR"):
        raise UsageError(f"WORLD_SIZE={world}, but MASTER_ADDR is not set: {ADVICE}")
    placed = _text("LOCAL_RANK") or _text("LOCAL_WORLD_SIZE")
    local_world = _number("LOCAL_WORLD_SIZE", low=1, high=world, default=None if placed else 1)
    local_rank = _number("LOCAL_RANK", high=local_world - 1, default=None if placed else 0)
    return Launch(rank, world, local_rank, local_world, _number("TORCHELASTIC_RESTART_COUNT", default=0))


def _text(name: str) -> str:
    return os.environ.get(name, "").strip()


def _number(name: str, *, low: int = 0, high: int | None = None, default: int | None = None) -> int:
    """A whole number of the environment; `default` where it is not set, and without one a UsageError."""
    text = _text(name)
    if not text and default is not None:
        return default
    if not text:
        raise UsageError(f"WORLD_SIZE={_text('WORLD_SIZE')}, but {name} is not set: {ADVICE}")
    if not (text.isascii() and text.isdecimal() and low <= int(text) and (high is None or int(text) <= high)):
        to = "" if high is None else f" to {high}"
        raise UsageError(f"{name}={text}: accepted is a whole number from {low}{to}; {ADVICE}")
    return int(text)
