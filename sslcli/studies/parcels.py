"""The folder of a run as one piece of bytes, for a worker that does not see the project's files. Imports no torch."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from sslcli.errors import StateError
from sslcli.files import UNFINISHED
from sslcli.locks import HeldError, locked
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

NOT_SENT = (".lock", ".lock.held", ".heartbeat", ".ticket")
"""Files of a run that say who works on it."""
ARRIVING, REPLACED = ".arriving-", ".replaced-"
"""Prefixes of a folder that is being unpacked, and of the one whose place it takes. No run's id begins so."""

PATIENCE = 600.0  # seconds to wait for another process that unpacks


class Parcel(NamedTuple):
    """The files of a run. `folder` is relative to the project; `attempts` tells which of two parcels of a run is newer."""

    folder: str
    content: bytes
    attempts: int


def pack(registry: Registry, folder: str) -> Parcel:
    """All files of a run."""
    held, place = io.BytesIO(), registry.path(folder)
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path in sorted(place.rglob("*")):
            if path.is_file() and path.name not in NOT_SENT and not path.name.endswith(UNFINISHED):
                archive.add(path, arcname=path.relative_to(place).as_posix())
    return Parcel(folder, held.getvalue(), len(_record(registry, folder).attempts))


def unpack(registry: Registry, parcel: Parcel) -> None:
    """Make a run's folder what was packed, and enter it in the index.

    If this is stopped at any moment, the old or the new folder is whole; `finish_unpacking` cleans up.
    """
    folder = registry.path(parcel.folder)
    arriving, whole = folder.with_name(f"{ARRIVING}{folder.name}{UNFINISHED}"), folder.with_name(f"{ARRIVING}{folder.name}")
    with _alone(registry), tarfile.open(fileobj=io.BytesIO(parcel.content)) as archive:
        for left in (arriving, whole):
            shutil.rmtree(left, ignore_errors=True)
        arriving.mkdir(parents=True)
        archive.extractall(arriving, filter="data")
        os.replace(arriving, whole)
        _take_place(registry, whole, folder)


def attempts_here(registry: Registry, folder: str) -> int | None:
    """The number of attempts in the record of a run; None if its folder is not here."""
    if not registry.path(f"{folder}/run.yaml").is_file():
        return None
    return len(_record(registry, folder).attempts)


def _record(registry: Registry, folder: str) -> Run:
    _, experiment, name = folder.split("/")
    return registry.load(Run(id=name, experiment=experiment, status="interrupted"))


def finish_unpacking(registry: Registry) -> None:
    """Put the folders in place that arrived whole, and remove the others, after a process was killed while it unpacked."""
    with _alone(registry):
        for left in registry.root.glob(f"runs/*/{ARRIVING}*"):
            if left.name.endswith(UNFINISHED):
                shutil.rmtree(left)
            else:
                _take_place(registry, left, left.with_name(left.name.removeprefix(ARRIVING)))
        for left in registry.root.glob(f"runs/*/{REPLACED}*"):
            _enter(registry, left.with_name(left.name.removeprefix(REPLACED)))
            shutil.rmtree(left)


def _take_place(registry: Registry, whole: Path, folder: Path) -> None:
    """Two renames, then the index: at every moment the names tell which folders are whole, and what is left to do."""
    replaced = folder.with_name(f"{REPLACED}{folder.name}")
    if folder.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        os.replace(folder, replaced)
    os.replace(whole, folder)
    _enter(registry, folder)
    shutil.rmtree(replaced, ignore_errors=True)


def _enter(registry: Registry, folder: Path) -> None:
    """Enter a run's record into the index."""
    registry.save(_record(registry, f"runs/{folder.parent.name}/{folder.name}"))


@contextmanager
def _alone(registry: Registry) -> Iterator[None]:
    """Hold the lock of all that unpack in a project: one must not clean up what another is writing."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(registry.root / "runs" / ".unpacking.lock", timeout=PATIENCE))
        except HeldError as error:
            raise StateError(
                f"another process has been unpacking runs into {registry.root} for {PATIENCE:g} s: {error}; "
                "when it has ended, type the study again"
            ) from None
        yield
