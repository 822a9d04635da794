"""Checkpoints: written atomically, hashed as they are written, and never loaded unless the hash agrees."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from typing import IO, Any

import torch

from sslcli.errors import StateError
from sslcli.registry import Registry, Run, atomic_write

State = dict[str, Any]


class _Hashing:
    """A file to write to that hashes what passes."""

    def __init__(self, handle: IO[bytes]) -> None:
        self.handle, self.digest = handle, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.handle.write(data)

    def flush(self) -> None:
        self.handle.flush()


def save_checkpoint(registry: Registry, run: Run, name: str, state: State) -> None:
    """Write `state` as checkpoints/<name>.pt of the run; last.pt becomes previous.pt first.

    run.yaml names the new hash beside the old one before the file is replaced, so that a crash between the two leaves
    a file that one of them fits.
    """
    file = f"{name}.pt"
    path = registry.path(f"{run.folder}/checkpoints/{file}")
    sha256 = ""

    def write(handle: IO[bytes]) -> None:
        nonlocal sha256
        hashing = _Hashing(handle)
        torch.save(state, hashing)  # type: ignore[arg-type]
        sha256 = hashing.digest.hexdigest()

    def record() -> None:
        older = run.checkpoints.get(file, [])[:1]
        if name == "last" and path.exists():
            run.checkpoints["previous.pt"] = older + run.checkpoints.get("previous.pt", [])[:1]
        run.checkpoints[file] = [sha256, *(old for old in older if old != sha256)]
        run.checkpoint, run.sha256 = f"{run.folder}/checkpoints/{file}", sha256
        registry.save(run)
        if name == "last" and path.exists():
            os.replace(path, path.with_name("previous.pt"))

    atomic_write(path, write, before_rename=record)


def load_checkpoint(registry: Registry, run: Run, name: str) -> State:
    """Read checkpoints/<name>.pt of a run onto the CPU: tensors and plain data only, after its hash was found right."""
    file = f"{name}.pt"
    path = registry.path(f"{run.folder}/checkpoints/{file}")
    if run.status == "published":
        raise StateError(f"run {run.id} is published: its numbers are here, its weights are not")
    if not path.exists():
        raise StateError(f"run {run.id} has no checkpoint {path}; to see what it has, type: ssl runs show {run.id}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found not in run.checkpoints.get(file, []):
        known = " or ".join(run.checkpoints.get(file, ["none on record"]))
        raise StateError(f"run {run.id}: {path} is damaged or foreign: its sha256 is {found}, recorded is {known}")
    try:
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StateError(f"run {run.id}: {path} holds more than tensors and plain data; it is not loaded") from error
    return state
