"""Paths as they are shown, recorded and typed. Imports only the standard library."""

from __future__ import annotations

import os


def relative(path: str | os.PathLike[str], start: str | os.PathLike[str] = os.curdir) -> str:
    """A path relative to a folder, by default the current one; absolute if it is on another drive of Windows."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return os.path.abspath(path)
