"""Locks between processes: the system's, which end with their holder, or, if a file system has none, a file that names it.

Runs, the registry and picture caches are locked here, by the path of a file that is never deleted.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sslcli.errors import StateError

try:
    import fcntl
except ImportError:  # Windows has another way to lock
    fcntl = None  # type: ignore[assignment]

TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
"""Errors of flock(2) if another process has the lock. Any other error means that this file system has no locks."""
LOOK_EVERY = 0.05  # seconds between two tries to get a lock
MARK = ".held"
"""The suffix of the file that replaces a lock if the file system has none."""
SOMEBODY = "another process"


class HeldError(Exception):
    """Another process has the lock. The text names it as far as known, and says what to do if it is dead."""


@contextmanager
def locked(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock of the file at `path`, which is made if missing; wait at most `timeout` seconds for it.

    Raises a HeldError if another process keeps it that long, a StateError if the file cannot be made.
    """
    if fcntl is None:
        with _by_library(path, timeout):
            yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StateError(f"{path.parent} cannot be written: {error.strerror}") from error
    me = {**_me(), "token": secrets.token_hex(8)}
    try:
        until = time.monotonic() + timeout
        while (holder := _take(file, path, me)) is not None:
            if time.monotonic() >= until:
                raise HeldError(holder)
            time.sleep(LOOK_EVERY)
        try:
            yield
        finally:
            if _read(mark := _mark_of(path)) == me:
                mark.unlink(missing_ok=True)
    finally:
        os.close(file)  # this also releases the system's lock


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of the file at `path`, or may hold it (a file of another user that cannot be read).

    Writes nothing, so it also works on read-only files.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        return not isinstance(error, (FileNotFoundError, NotADirectoryError))
    try:
        if fcntl is None:
            return _is_held_by_library(path)
        left = _read(_mark_of(path))
        return _flock(file, shared=True) is False or (left is not None and _holder(path, left) is not None)
    finally:
        os.close(file)


@contextmanager
def _by_library(path: Path, timeout: float) -> Iterator[None]:
    """The lock on a system without flock(2)."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path, timeout=timeout)
    try:
        held.acquire()
    except Timeout:
        raise HeldError(SOMEBODY) from None
    try:
        yield
    finally:
        held.release()


def _is_held_by_library(path: Path) -> bool:
    try:
        with _by_library(path, 0):
            return False
    except HeldError:
        return True


def _take(file: int, path: Path, me: dict[str, Any]) -> str | None:
    """Take a lock if it is free. Returns None if that worked, else who holds it.

    The file that replaces a lock counts even if the system has locks: another machine may see this file system
    without locks.
    """
    taken = _flock(file)
    if taken is False:
        return SOMEBODY
    mark = _mark_of(path)
    if (left := _read(mark)) is not None:
        if holder := _holder(path, left):
            fcntl.flock(file, fcntl.LOCK_UN) if taken else None
            return holder
        _clear(mark, left)
    return None if taken or _write(mark, me) else SOMEBODY


def _flock(file: int, *, shared: bool = False) -> bool | None:
    """Try to lock an open file: whether that worked; None if this file system has no locks."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in TAKEN else None
    return True


def _mark_of(path: Path) -> Path:
    return Path(f"{path}{MARK}")


def _read(mark: Path) -> dict[str, Any] | None:
    """The content of the file that replaces a lock; {} if it is just being written, None if it is missing."""
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}


def _write(mark: Path, me: dict[str, Any]) -> bool:
    """Make the file that replaces the lock; False if another process was faster."""
    try:
        with open(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "w", encoding="utf-8") as file:
            file.write(json.dumps(me))
    except FileExistsError:
        return False
    except OSError as error:
        raise StateError(f"{mark} cannot be written: {error.strerror} (this file system has no locks of its own)") from error
    return True


def _holder(path: Path, left: dict[str, Any]) -> str | None:
    """Who made the file that replaces a lock, in words; None if it was a process on this machine that is dead."""
    advice = f" (this file system has no locks; if you are sure that this process is dead, delete {_mark_of(path)})"
    host, process = left.get("host"), left.get("process")
    if not isinstance(process, int) or not isinstance(host, str):
        return SOMEBODY + advice
    if host == platform.node() and left.get("started") != _started(process):
        return None
    return f"process {process} on {host}{advice}"


def _clear(mark: Path, left: dict[str, Any]) -> None:
    """Remove the file of a dead process, but not one that another process has written since."""
    aside = Path(f"{mark}.{secrets.token_hex(4)}")
    with suppress(OSError):  # another process was faster
        os.rename(mark, aside)
        if _read(aside) != left:
            os.link(aside, mark)
        aside.unlink()


def _me() -> dict[str, Any]:
    return {"host": platform.node(), "process": os.getpid(), "started": _started(os.getpid())}


def _started(process: int) -> str | None:
    """When a process on this machine started, in the system's unit ("" if unknown); None if there is no such process."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return None if state == "Z" else fields[18]  # proc(5): starttime is the 22nd, the state the third
    except (OSError, IndexError, ValueError):
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""  # it belongs to another user
    return ""
