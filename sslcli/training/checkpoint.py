"""Checkpoints: written atomically, hashed, and loaded only if the hash agrees."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor

from sslcli.data.prepare import Fit
from sslcli.errors import StateError
from sslcli.file_kinds import TORCH_ARCHIVE, kind_of, marked_kind
from sslcli.files import atomic_write
from sslcli.runs.proofs import Seal, sealed
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.finite import hold_to_numbers

if TYPE_CHECKING:
    from sslcli.training.loop import Held, Metrics


class Fixed(TypedDict):
    """The basis of classifiers on representations: how h is standardised, (dim,) each, and which encoder made it."""

    mean: Tensor
    std: Tensor
    encoder_sha256: str


class State(TypedDict, total=False):
    """The content of a checkpoint: a whole training (last.pt), an evaluation's classifier (best.pt), or a method's weights.

    `evaluated` names the encoder that is measured, if that is not "encoder". Sides are in pixels; `mean` and `std` (3,)
    normalise values in [0, 1].
    """

    record: Seal
    model: dict[str, Tensor]
    evaluated: str
    optimizer: dict[str, object]
    progress: Held
    events: dict[str, int]
    fixed: Fixed
    winograd: bool
    backbone: str
    stem: str
    classes: list[str]
    image_size: int
    kept_size: int
    fit: Fit
    mean: Tensor
    std: Tensor
    run: dict[str, object]
    metrics: Metrics


def save_checkpoint(registry: Registry, run: Run, name: str, state: State) -> None:
    """Write `state`, and a copy of the run's record as "record", to checkpoints/<name>.pt; last.pt becomes previous.pt first.

    The newest "last" or "best" is the run's checkpoint in the registry; others are kept beside it. If a weight is not a
    number, that is a DivergedError, and nothing is written.
    run.yaml gets the new hash beside the old one before the file is replaced. So after a crash between the two, one of the
    hashes fits.
    """
    hold_to_numbers(state.get("model", {}))
    file = f"{name}.pt"
    path = registry.path(f"{run.folder}/checkpoints/{file}")
    buffer = io.BytesIO()  # torch.save to a file hides a full disk behind its own error
    torch.save(state | {"record": sealed(run)}, buffer)
    sha256 = hashlib.sha256(buffer.getbuffer()).hexdigest()

    def record() -> None:
        older = run.checkpoints.get(file, [])
        if name == "last" and path.exists():
            run.checkpoints["previous.pt"] = older + run.checkpoints.get("previous.pt", [])
        run.checkpoints[file] = [sha256, *(old for old in older if old != sha256)]
        if name in ("last", "best"):
            run.checkpoint, run.sha256 = f"{run.folder}/checkpoints/{file}", sha256
        registry.save(run)
        if name == "last" and path.exists():
            os.replace(path, path.with_name("previous.pt"))

    atomic_write(path, lambda handle: handle.write(buffer.getbuffer()), before_rename=record)
    run.checkpoints = {known: hashes[:2] for known, hashes in run.checkpoints.items()}


def load_checkpoint(registry: Registry, run: Run, name: str) -> State:
    """Read checkpoints/<name>.pt of a run to the CPU, after checking its hash: tensors and plain data only."""
    file = f"{name}.pt"
    path = registry.path(f"{run.folder}/checkpoints/{file}")
    if run.status == "published":
        raise StateError(f"run {run.id} is published: its numbers are here, its weights are not")
    if not path.exists():
        raise StateError(
            f"run {run.id} has no checkpoint {path}; to see what it has, type: {registry.command(f'ssl runs show {run.id}')}"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found not in run.checkpoints.get(file, []):
        known = " or ".join(run.checkpoints.get(file, ["none on record"]))
        it_is = f"it is {kind}; " if (kind := marked_kind(content)) and kind != TORCH_ARCHIVE else ""
        raise StateError(f"run {run.id}: {path} is damaged or foreign: {it_is}its sha256 is {found}, recorded is {known}")
    return parse_checkpoint(content, f"run {run.id}: {path}")


def parse_checkpoint(content: bytes, place: str) -> State:
    """The content of a torch.save file on the CPU: tensors and plain data only; `place` names it in messages."""
    try:
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if kind_of(content) == TORCH_ARCHIVE:
            raise StateError(f"{place} holds more than tensors and plain data, so it is not loaded") from error
        raise StateError(f"{place} is no checkpoint that can be read: {_reason(content, error)}") from error
    except Exception as error:  # torch's readers raise whatever a foreign file leads them to
        raise StateError(f"{place} is no checkpoint that can be read: {_reason(content, error)}") from error
    return state


def encoder_in(state: State) -> dict[str, Tensor]:
    """The weights of the measured encoder in a checkpoint: a method's teacher if "evaluated" says so."""
    prefix = f"{state.get('evaluated', 'encoder')}."
    return {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}


def _reason(content: bytes, error: Exception) -> str:
    kind = kind_of(content)
    return f"it is {kind}" if kind and kind != TORCH_ARCHIVE else str(error)[:120] or type(error).__name__
