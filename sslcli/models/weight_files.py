"""Files of weights: every tensor in them, as plain data. Code in a file is never run."""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sslcli.errors import StateError, UsageError, install_line
from sslcli.file_kinds import TORCH_ARCHIVE, TORCHSCRIPT, is_safetensors, kind_of
from sslcli.models.salvage import advice, read_inertly, tensors_in
from sslcli.models.same_function import network_of

TORCH = (b"PK\x03\x04", b"\x80")
"""First bytes of torch.save files, now and before torch 1.6."""
ALONE = "so it is not loaded. This line writes a file with only its tensors:"
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")


class Weights(NamedTuple):
    """The tensors of a file by dotted name, its sha256, and, if this program wrote it, the backbone and stem."""

    tensors: dict[str, Tensor]
    sha256: str
    network: tuple[str, str] | None


def read_tensors(path: Path) -> Weights:
    """Every tensor in a .pt, .pth, .ckpt (torch.save) or .safetensors file.

    Tensors and plain data only: code is never run. A UsageError if the file is missing, of another kind, or holds more.
    """
    if not path.is_file():
        raise UsageError(f"{path} is {_no_file(path)}: accepted is a file of weights")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    named_so = path.suffix == ".safetensors" and not content.startswith(TORCH)
    read = _read_safetensors if named_so or is_safetensors(content) else _read_torch
    found = read(content, path)
    return Weights(tensors_in(found), sha256, network_of(path, found))


def _no_file(path: Path) -> str:
    if not path.is_dir():
        return "not there"
    there = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
    return "a folder; name a file in it" + (f", as {path / there[0]}" if there else "")


def _read_safetensors(content: bytes, path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError:
        raise StateError(f"{path}: safetensors is not installed; type: {install_line('export')}") from None
    try:
        return load(content)
    except SafetensorError as error:
        it_is = f"it is {kind_of(content)}" if kind_of(content) and not is_safetensors(content) else f"{error} (cut off?)"
        raise UsageError(f"{path} cannot be read as safetensors: {it_is}") from error


def _read_torch(content: bytes, path: Path) -> Any:
    if kind_of(content) == TORCHSCRIPT:  # torch would run its code
        raise UsageError(f"{path} is {TORCHSCRIPT}, which holds code, {ALONE} {advice(path, script=True)}")
    try:  # many training scripts store their options as a Namespace, which is plain data
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise whatever a damaged file leads them to
        raise UsageError(f"{path} {_why_unread(content, path, error)}") from error


def _why_unread(content: bytes, path: Path, error: Exception) -> str:
    """The kind of a file that torch.load refuses and, if it contains tensors, the line that extracts them."""
    kind = kind_of(content)
    try:
        _, names = read_inertly(content)
    except Exception:  # it is damaged, or another kind of file
        reason = f"it is {kind}" if kind and kind != TORCH_ARCHIVE else first_line(error)
        return f"cannot be read as a torch.save file: {reason}"
    listed = ", ".join(names[:3]) + ", …" * (len(names) > 3)
    return f"holds more than tensors and plain data ({listed or first_line(error)}), {ALONE} {advice(path)}"


def first_line(error: Exception) -> str:
    """The text of an error, in one line of at most 120 characters; its type if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
