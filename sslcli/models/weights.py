"""Others' weights: a file's tensors, and which of them are the encoder's: all of its own are there, or none is taken."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslcli.errors import StateError, UsageError
from sslcli.file_kinds import TORCH_ARCHIVE, TORCHSCRIPT, is_safetensors, kind_of
from sslcli.models import BACKBONES
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.models.salvage import advice, read_inertly, tensors_in

INSTALL = "pip install 'sslcli[export]', or in a checkout: pip install -e '.[export]'"
COUNTER = "num_batches_tracked"
"""What torch has counted for averages that are not in use here; old files lack it, and it changes no output."""
TORCH = (b"PK\x03\x04", b"\x80")
"""How files of torch.save begin, now and before 1.6."""
ALONE = "so it is not loaded. This line writes a file with its tensors alone:"
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
AVERAGED = ("momentum", "encoder_k", "target", "ema", "student")
"""In names of networks that are kept beside the one to take: moving averages, but of DINO's two the teacher is taken."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Every tensor in a .pt, .pth, .ckpt (torch.save) or .safetensors file by its dotted name, and the file's sha256.

    Tensors and plain data only: code is never run. A UsageError for what is not there, not such a file, or holds more.
    """
    if not path.is_file():
        raise UsageError(f"{path} is {_no_file(path)}: accepted is a file of weights")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    named_so = path.suffix == ".safetensors" and not content.startswith(TORCH)
    read = _read_safetensors if named_so or is_safetensors(content) else _read_torch
    return tensors_in(read(content, path)), sha256


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
        raise StateError(f"{path}: safetensors is not installed; type: {INSTALL}") from None
    try:
        return load(content)
    except SafetensorError as error:
        it_is = f"it is {kind_of(content)}" if kind_of(content) and not is_safetensors(content) else f"{error} (cut off?)"
        raise UsageError(f"{path} cannot be read as safetensors: {it_is}") from error


def _read_torch(content: bytes, path: Path) -> Any:
    if kind_of(content) == TORCHSCRIPT:  # which torch would run
        raise UsageError(f"{path} is {TORCHSCRIPT}, which holds code, {ALONE} {advice(path, script=True)}")
    try:  # a Namespace holds plain options, and many training scripts keep theirs in the file
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise whatever a damaged file leads them to
        raise UsageError(f"{path} {_why_unread(content, path, error)}") from error


def _why_unread(content: bytes, path: Path, error: Exception) -> str:
    """What a file is that torch.load refuses, and if there are tensors in it the line that keeps them."""
    kind = kind_of(content)
    try:
        _, names = read_inertly(content)
    except Exception:  # it is damaged, or no such file at all
        reason = f"it is {kind}" if kind and kind != TORCH_ARCHIVE else first_line(error)
        return f"is no file of torch.save that can be read: {reason}"
    listed = ", ".join(names[:3]) + ", …" * (len(names) > 3)
    return f"holds more than tensors and plain data ({listed or first_line(error)}), {ALONE} {advice(path)}"


def first_line(error: Exception) -> str:
    """What an error says, in a line of 120 characters at most; of one that says nothing its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


@dataclass(frozen=True)
class Found:
    """Where in a file the weights of a backbone are: its names to the file's, under `prefix`. Counters may be missing.

    `others` are the prefixes under which all of them are there, too; `missing` is how many counters are not.
    """

    prefix: str
    names: dict[str, str]
    others: tuple[str, ...]
    missing: int = 0

    def renamed(self) -> dict[str, str]:
        """What the file calls things to what they are here, as few rules as say it all; equal parts at the end left out."""
        rules = {}
        for ours, theirs in self.names.items():
            mine, other = ours.split("."), theirs.split(".")
            while mine and other and mine[-1] == other[-1]:
                mine.pop(), other.pop()
            if mine or other:
                rules[".".join([*other, "*"])] = ".".join([*mine, "*"])
        return rules

    def dropped(self, tensors: Mapping[str, Tensor]) -> dict[str, int]:
        """What of the file is not taken, by the part of the name that first differs from the prefix; and how many tensors."""
        taken, path = set(self.names.values()), self.prefix.split(".")[:-1]
        groups: Counter[str] = Counter()
        for name in tensors:
            if name not in taken:
                parts = name.split(".")
                shared = next((i for i, (a, b) in enumerate(zip(parts, path, strict=False)) if a != b), len(path))
                groups[".".join(parts[: shared + 1])] += 1
        return dict(groups)


def find_weights(tensors: Mapping[str, Tensor], encoder: Encoder, *, place: str, net: str) -> Found:
    """Where in a file all weights of an encoder's backbone are, each with its shape; else a UsageError.

    Under any prefix; by torchvision's names, or numbered as nn.Sequential does with a network's children. `place` names
    the file and `net` the encoder in messages.
    """
    wanted = encoder.backbone.state_dict()
    candidates = _candidates(tensors, encoder.backbone)
    whole = [found for found in candidates if _is_whole(found, tensors, wanted)]
    if not whole:
        lost = _candidates(tensors, encoder.backbone, without_relu=True)
        if any(_is_whole(found, tensors, wanted) for found in lost):
            raise UsageError(
                f"{place} holds weights of {net} in an nn.Sequential of the parts that have some (as lightly's "
                "ResNetGenerator is used), without the ReLU after the first batch norm: another function; they are not taken"
            )
        raise UsageError(_why_not(candidates, tensors, wanted, place, net))
    best, *rest = sorted(whole, key=lambda found: (sum(word in found.prefix for word in AVERAGED), len(found.prefix)))
    return Found(best.prefix, best.names, tuple(found.prefix for found in rest), len(wanted) - len(best.names))


def _candidates(tensors: Mapping[str, Tensor], backbone: nn.Module, *, without_relu: bool = False) -> list[Found]:
    """For each prefix and each way of naming what of the backbone is there."""
    made: list[Found] = []
    for calls in _namings(backbone, without_relu=without_relu):
        under: dict[str, dict[str, str]] = {}
        for theirs in tensors:
            parts = theirs.split(".")
            for start in range(len(parts)):
                if (ours := calls.get(".".join(parts[start:]))) is not None:
                    under.setdefault("".join(f"{part}." for part in parts[:start]), {})[ours] = theirs
        made += [Found(prefix, names, ()) for prefix, names in under.items()]
    return made


def _namings(backbone: nn.Module, *, without_relu: bool = False) -> list[dict[str, str]]:
    """The ways in which programs name a backbone's tensors: each maps their names, without prefix, to its own.

    torchvision's names (timm, VISSL, MoCo, solo-learn have them, too); numbered by the place among the children (lightly's
    examples), or among those that do something; and each with `shortcut` for `downsample`. `without_relu`: numbered among
    the children that have weights, between which a program has lost what stands in no module.
    """
    children = [name for name, _ in backbone.named_children()]
    active = [name for name, child in backbone.named_children() if not isinstance(child, nn.Identity)]
    weighty = [name for name, child in backbone.named_children() if child.state_dict()]
    lists = [weighty] if without_relu else [children, active]
    heads = [{name: name for name in children}] * (not without_relu) + [
        {name: str(i) for i, name in enumerate(names)} for names in lists
    ]
    made = []
    for head in heads:
        for word in ("downsample", "shortcut"):
            calls = {}
            for ours in backbone.state_dict():
                first, _, rest = ours.partition(".")
                calls[".".join(filter(None, (head.get(first, first), rest))).replace("downsample", word)] = ours
            made += [calls] * (calls not in made)
    return made


def _is_whole(found: Found, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    needed = sum(not name.endswith(COUNTER) for name in wanted)
    return len(found.names) >= needed and not _misfits(found, tensors, wanted)


def _misfits(found: Found, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """What of a backbone is not there, or of another shape or kind, in words."""
    words = []
    for name, own in wanted.items():
        theirs = tensors[found.names[name]] if name in found.names else None
        if theirs is None:
            words += [f"{name} is not there"] * (not name.endswith(COUNTER))
        elif theirs.shape != own.shape or theirs.is_floating_point() != own.is_floating_point():
            kind = "" if theirs.shape != own.shape else f" of {theirs.dtype}"
            words.append(f"{name} is {tuple(theirs.shape)}{kind}, not {tuple(own.shape)}")
        elif not torch.isfinite(theirs).all():
            words.append(f"{name} has values that are no numbers")
    return words


def _why_not(candidates: list[Found], tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], place: str, net: str) -> str:
    fits = _nets_that_have(tensors)
    advice = f"; it fits {' and '.join(fits)}" if fits else ""
    most = max(candidates, key=lambda found: len(found.names), default=None)
    wrong = _misfits(most, tensors, wanted) if most else []
    if most is None or len(wrong) > len(wanted) / 2:
        has = ", ".join(list(tensors)[:4]) + ", …" * (len(tensors) > 4)
        return f"{place} does not hold the weights of {net}{advice}. It has {len(tensors)} tensors: {has or 'none'}"
    listed = "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if wrong[4:] else "")
    under = f" under {most.prefix}*" if most.prefix else ""
    return f"{place} holds the weights of {net} in part alone{under}: {listed}{advice}"


def _nets_that_have(tensors: Mapping[str, Tensor]) -> list[str]:
    """The options of the backbones and stems whose weights a file does hold. Strides cannot be told from weights."""
    fits = []
    for backbone, entry in BACKBONES.items():
        for stem in entry.stems:
            net = _shapes(backbone, stem)
            shapes = net.state_dict()
            if any(_is_whole(found, tensors, shapes) for found in _candidates(tensors, net)):
                fits.append(f"--backbone {backbone}" + (f" --stem {stem}" if stem != "own" else ""))
    return fits


@cache
def _shapes(backbone: str, stem: str) -> nn.Module:
    """A backbone without values."""
    with torch.device("meta"):
        return build_encoder(backbone, stem=stem, seed=0).backbone


def load_weights(encoder: Encoder, tensors: Mapping[str, Tensor], found: Found) -> None:
    """Put what was found into the encoder's backbone, where missing counters stay 0."""
    state = encoder.backbone.state_dict()
    encoder.backbone.load_state_dict(state | {ours: tensors[theirs] for ours, theirs in found.names.items()})
