"""A process that does not see a folder, as if that lay on another machine: it has mounts of its own."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

APART = ("unshare", "--mount", "--propagation", "private", "sh", "-c")


@cache
def can_hide() -> bool:
    """Whether this machine lets us have mounts of our own."""
    line = [*APART, "mount -t tmpfs tmpfs /tmp"]
    return shutil.which("unshare") is not None and subprocess.run(line, capture_output=True, check=False).returncode == 0


def without(hidden: Path, line: list[str]) -> list[str]:
    """A command line that sees an empty folder in the place of `hidden`; the same line where that cannot be."""
    return [*APART, f"mount -t tmpfs tmpfs '{hidden}' && exec \"$@\"", "sh", *line] if can_hide() else line
