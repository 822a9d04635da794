"""A run's heartbeat: which process on which machine works on it, and when it last said so."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sslcli.files import now, write_text


@dataclass(frozen=True)
class Heartbeat:
    """A process on a machine, and when it last said that it works on a run.

    `done` is the fraction of its steps that are done, `left` the seconds that remain; None if it did not say.
    """

    host: str
    process: int
    at: datetime
    done: float | None = None
    left: float | None = None


def has_begun(folder: Path) -> bool:
    """Whether a process has worked on the run of a folder: it left a heartbeat, or checkpoints, as the first versions did."""
    return any(os.path.exists(folder / left) for left in (".heartbeat", "checkpoints"))


def write_heartbeat(path: Path, *, done: float | None = None, left: float | None = None) -> None:
    """Record that this process is alive, and how far it is: what it said before, if it says nothing now."""
    me = {"host": platform.node(), "process": os.getpid()}
    before = read_heartbeat(path) if done is None else None
    if before is not None and (before.host, before.process) == (me["host"], me["process"]):
        done, left = before.done, before.left
    progress = {} if done is None else {"done": done, "left": left}
    write_text(path, json.dumps(me | {"at": now()} | progress))


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The heartbeat in a file; None if it is missing or cannot be read."""
    try:
        beat = json.loads(path.read_text(encoding="utf-8"))
        progress = (None if beat.get(name) is None else float(beat[name]) for name in ("done", "left"))
        return Heartbeat(str(beat["host"]), int(beat["process"]), datetime.fromisoformat(beat["at"]).astimezone(UTC), *progress)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
