"""A job of a study as a task of Ray on a worker, whether or not the worker sees the project's files. Imports no torch."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sslcli.errors import UserError
from sslcli.locks import HeldError, locked
from sslcli.runs.registry import Registry
from sslcli.studies.on_worker import REFUSED, Work
from sslcli.studies.parcels import Parcel, attempts_here, pack, unpack

Address = tuple[str, int]
"""Where the first of several processes listens: host and port."""
UNPACKING = 600.0  # seconds to wait for another job of this node that unpacks


@dataclass(frozen=True)
class Outcome:
    """How a job's command ended, why if it could not begin, and the run's folder if this worker has its own files."""

    code: int
    lacks: str = ""
    parcel: Parcel | None = None


def do_job(work: Work, folder: str, *parcels: Parcel) -> Outcome:
    """Do a job. Its own folder and those of the runs that it needs come as parcels, unless every worker sees the project."""
    with stopped_once():
        return _carry_out(work, folder, parcels, {})


def do_part(work: Work, folder: str, rank: int, world: int, address: Address, *parcels: Parcel) -> Outcome:
    """Be one of several processes of a job. The first alone reads and writes the project's files."""
    host, port = address
    environment = {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": host, "MASTER_PORT": str(port)}
    with stopped_once():
        if rank and parcels:
            return _carry_out(replace(work, mark=None, output=Path(os.devnull)), folder, (), environment)
        return _carry_out(work, folder, parcels, environment)


@contextmanager
def stopped_once() -> Iterator[None]:
    """Ray's first request to stop raises KeyboardInterrupt in the block; repeats of it do not break off what follows."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def listening() -> Address:
    """The address of this node, and a free port."""
    ray: Any = importlib.import_module("ray")
    with socket.socket() as found:
        found.bind(("", 0))
        return str(ray.util.get_node_ip_address()), int(found.getsockname()[1])


def _carry_out(work: Work, folder: str, parcels: tuple[Parcel, ...], environment: Mapping[str, str]) -> Outcome:
    if not parcels or (work.mark and work.mark.is_file()):
        if lacks := work.missing():
            return Outcome(REFUSED, lacks)
        return Outcome(work.carry_out(environment=environment))
    work = replace(work, mark=None)
    if lacks := work.missing():
        return Outcome(REFUSED, lacks)
    return _with_own_files(work, folder, parcels, environment)


def _with_own_files(work: Work, folder: str, parcels: tuple[Parcel, ...], environment: Mapping[str, str]) -> Outcome:
    """Do the job in a project of this worker's own, at the same path, so that the data are found where they are elsewhere."""
    registry = Registry(work.project)
    try:
        with locked(work.project / "runs" / ".parcels.lock", timeout=UNPACKING):
            for parcel in parcels:
                _put(registry, parcel, own=parcel.folder == folder)
        code = work.carry_out(environment=environment)
        parcel = pack(registry, folder)
        if code == 0:
            shutil.rmtree(registry.path(folder))
        return Outcome(code, parcel=parcel)
    except (UserError, HeldError, OSError) as error:
        return Outcome(REFUSED, f"{socket.gethostname()}: {error}")


def _put(registry: Registry, parcel: Parcel, *, own: bool) -> None:
    """Unpack a run, unless it is here: a needed one is finished; of its own, the one with more attempts is newer."""
    here = attempts_here(registry, parcel.folder)
    if here is None or (own and here <= parcel.attempts):
        unpack(registry, parcel)
