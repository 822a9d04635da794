"""How this process was started: the command or call, and torchrun's environment variables. Imports no torch."""

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
    """How a run was made, for its record: the line that was typed, or the call in Python."""
    return _called.get() or shlex.join(["ssl", *sys.argv[1:]])


@contextmanager
def called(text: str) -> Iterator[None]:
    """Mark the work in this block as asked for by a call in Python, `text`."""
    before = _called.set(text)
    try:
        yield
    finally:
        _called.reset(before)


def without_plan(line: str) -> str:
    """The line that trains what the line lists: without --plan and --format, as it stands in the records of its runs."""
    words = shlex.split(line)
    while "--format" in words:
        del words[words.index("--format") : words.index("--format") + 2]
    return shlex.join(word for word in words if word != "--plan" and not word.startswith("--format="))


@dataclass(frozen=True)
class Launch:
    """The place of this process: `rank` of `world` in total, `local_rank` of `local_world` on this machine.

    `attempt` counts how often torchrun has restarted them.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    attempt: int = 0


def read_world() -> int:
    """The number of processes, according to the environment."""
    return _number("WORLD_SIZE", low=1, default=1)


def read_launch() -> Launch:
    """Read the environment; an empty variable counts as not set, impossible values are a UsageError.

    Without WORLD_SIZE there is one process, whatever else is set. Without LOCAL_RANK and LOCAL_WORLD_SIZE each process runs
    on its own machine.
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
    """A whole number from the environment. If it is not set: `default`, or a UsageError if that is None."""
    text = _text(name)
    if not text and default is not None:
        return default
    if not text:
        raise UsageError(f"WORLD_SIZE={_text('WORLD_SIZE')}, but {name} is not set: {ADVICE}")
    if not (text.isascii() and text.isdecimal() and low <= int(text) and (high is None or int(text) <= high)):
        to = "" if high is None else f" to {high}"
        raise UsageError(f"{name}={text}: accepted is a whole number from {low}{to}; {ADVICE}")
    return int(text)
