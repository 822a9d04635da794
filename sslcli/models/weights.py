"""Others' weights: find the encoder's tensors in a file. Either all of them are there, or none is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from sslcli.errors import UsageError
from sslcli.models import BACKBONES
from sslcli.models.efficientnet_names import names_of_efficientnet
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.models.same_function import hold_to_heads, pads_as_tensorflow

COUNTER = "num_batches_tracked"
"""torch's counter for averages that are not used here; old files lack it, and it changes no output."""
PADDED = "_conv_stem.weight"
"""The end of a name that only EfficientNet-PyTorch gives."""
AVERAGED = ("momentum", "encoder_k", "target", "ema", "student")
"""Words in names of networks that are not taken if another is complete: moving averages, but DINO's student, not teacher."""


@dataclass(frozen=True)
class Found:
    """The place of a backbone's weights in a file: its names to the file's names, below `prefix`. Counters may be missing.

    `others` are other prefixes with a complete set of weights; `missing` is the number of missing counters.
    """

    prefix: str
    names: dict[str, str]
    others: tuple[str, ...]
    missing: int = 0

    def renamed(self) -> dict[str, str]:
        """Names in the file to names here, as the fewest rules that cover all; equal endings are left out."""
        rules = {}
        for ours, theirs in self.names.items():
            mine, other = ours.split("."), theirs.split(".")
            while mine and other and mine[-1] == other[-1]:
                mine.pop(), other.pop()
            if mine or other:
                rules[".".join([*other, "*"])] = ".".join([*mine, "*"])
        return rules

    def dropped(self, tensors: Mapping[str, Tensor]) -> dict[str, int]:
        """What is not taken from the file, by the first part of the name that differs from the prefix, with their number."""
        taken, path = set(self.names.values()), self.prefix.split(".")[:-1]
        groups: Counter[str] = Counter()
        for name in tensors:
            if name not in taken:
                parts = name.split(".")
                shared = next((i for i, (a, b) in enumerate(zip(parts, path, strict=False)) if a != b), len(path))
                groups[".".join(parts[: shared + 1])] += 1
        return dict(groups)


def find_weights(tensors: Mapping[str, Tensor], encoder: Encoder, *, place: str, net: str) -> Found:
    """Find all weights of an encoder's backbone in a file, each with the right shape; else a UsageError.

    Below any prefix, by torchvision's names, or numbered as in an nn.Sequential of the network's children. `place` names
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
        if any(name.endswith(PADDED) for name in tensors) and names_of_efficientnet(wanted):
            raise UsageError(
                f"{place} has EfficientNet-PyTorch's names, and pads as TensorFlow does, which {net} does not: another "
                "function; accepted is the network of timm whose name begins with tf_"
            )
        raise UsageError(_why_not(candidates, tensors, wanted, place, net))
    best, *rest = sorted(whole, key=lambda found: (sum(word in found.prefix for word in AVERAGED), len(found.prefix)))
    hold_to_heads(encoder.backbone, best.prefix, place=place)
    return Found(best.prefix, best.names, tuple(found.prefix for found in rest), len(wanted) - len(best.names))


def _candidates(tensors: Mapping[str, Tensor], backbone: nn.Module, *, without_relu: bool = False) -> list[Found]:
    """The parts of the backbone that are there, for each prefix and each way of naming."""
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

    torchvision's names (also timm, VISSL, MoCo, solo-learn); numbered by position among the children (lightly's examples),
    or among the children that do something; and each of these with `shortcut` for `downsample`; or EfficientNet-PyTorch's
    names. `without_relu`: numbered among the children with weights; such a program has lost the operations between them that
    are not modules.
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
    of_efficientnet = names_of_efficientnet(backbone.state_dict()) if pads_as_tensorflow(backbone) else {}
    return [*made, *[of_efficientnet] * bool(of_efficientnet)]


def _is_whole(found: Found, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    needed = sum(not name.endswith(COUNTER) for name in wanted)
    return len(found.names) >= needed and not _misfits(found, tensors, wanted)


def _misfits(found: Found, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """What is missing of a backbone, or has another shape or kind, in words."""
    words = []
    for name, own in wanted.items():
        theirs = tensors[found.names[name]] if name in found.names else None
        if theirs is None:
            words += [f"{name} is missing"] * (not name.endswith(COUNTER))
        elif theirs.shape != own.shape or theirs.is_floating_point() != own.is_floating_point():
            kind = "" if theirs.shape != own.shape else f" of {theirs.dtype}"
            words.append(f"{name} is {tuple(theirs.shape)}{kind}, not {tuple(own.shape)}")
        elif not torch.isfinite(theirs).all():
            words.append(f"{name} has values that are not numbers")
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
    return f"{place} holds only some weights of {net}{under}: {listed}{advice}"


def _nets_that_have(tensors: Mapping[str, Tensor]) -> list[str]:
    """The options of backbones and stems whose weights the file does hold. Weights do not show strides."""
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
    """Load what was found into the encoder's backbone; missing counters stay 0."""
    state = encoder.backbone.state_dict()
    encoder.backbone.load_state_dict(state | {ours: tensors[theirs] for ours, theirs in found.names.items()})
