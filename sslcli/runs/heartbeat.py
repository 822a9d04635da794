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
    """A process on a machine, and when it last said that it works on a run."""

    host: str
    process: int
    at: datetime


def write_heartbeat(path: Path) -> None:
    """Record that this process is alive."""
    write_text(path, json.dumps({"host": platform.node(), "process": os.getpid(), "at": now()}))


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The heartbeat in a file; None if it is missing or cannot be read."""
    try:
        beat = json.loads(path.read_text(encoding="utf-8"))
        return Heartbeat(str(beat["host"]), int(beat["process"]), datetime.fromisoformat(beat["at"]).astimezone(UTC))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
