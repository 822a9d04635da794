"""What shapes do not say of weights: strides, padding and heads, by which equal weights are another function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sslcli.errors import UsageError
from sslcli.models import INPUT, SIZED

ABOUT = "encoder.json"
"""The file beside exported weights that describes them."""
OF_MOCO_V3 = ("base_encoder", "momentum_encoder")
HEADS_OF_MOCO_V3 = 12
"""The heads of MoCo v3's ViT-S; everybody else's has 6."""


def network_of(path: Path, content: Any) -> tuple[str, str] | None:
    """The backbone and stem of weights that this program wrote: in its checkpoint, or in the file beside an export.

    `content` is what torch or safetensors read from the file. None for other programs' files.
    """
    known: Any = content if isinstance(content, Mapping) else {}
    record = known.get("record")
    if isinstance(record, Mapping) and isinstance(record.get("options"), Mapping):
        known = record["options"]
    elif (about := path.with_name(ABOUT)).is_file():
        try:
            known = json.loads(about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        known = known if isinstance(known, Mapping) and known.get("weights") == path.name else {}
    backbone, stem = known.get("backbone"), known.get("stem")
    return (backbone, stem) if isinstance(backbone, str) and isinstance(stem, str) else None


def hold_to_stem(network: tuple[str, str] | None, *, backbone: str, stem: str, place: str) -> None:
    """A UsageError if weights of this program come from the same backbone with another stem, such as one of other strides."""
    if network is None or network[0] != backbone or network[1] == stem or network[1].startswith((INPUT, SIZED)):
        return
    raise UsageError(
        f"{place}: these weights are of {backbone} with stem {network[1]}, and with stem {stem} they are another function; "
        f"accepted is --stem {network[1]}"
    )


def may_pad_more(tensors: Mapping[str, Tensor], prefix: str, *, stem: str) -> str:
    """A warning about weights that look like solo-learn's for CIFAR, with a stem that pads less; "" for others.

    Its first convolution has a padding of 2 (solo/methods/base.py).
    """
    above = prefix.removesuffix("backbone.")
    of_solo_learn = above != prefix and {f"{above}classifier.weight", f"{prefix}conv1.weight"} <= tensors.keys()
    if stem != "conv3" or not of_solo_learn:
        return ""
    return (
        "these names are solo-learn's, whose first convolution for CIFAR has a padding of 2: with stem conv3 such weights are "
        "another function; if solo-learn trained them, type: --stem conv3-pad2"
    )


def hold_to_heads(backbone: nn.Module, prefix: str, *, place: str) -> None:
    """A UsageError for MoCo v3's ViT-S in a network whose attention has another number of heads."""
    heads = {module.num_heads for module in backbone.modules() if isinstance(getattr(module, "num_heads", None), int)}
    small = getattr(backbone, "embed_dim", None) == 384
    if small and heads and heads != {HEADS_OF_MOCO_V3} and any(word in prefix for word in OF_MOCO_V3):
        raise UsageError(
            f"{place}: MoCo v3's ViT-S has {HEADS_OF_MOCO_V3} heads, this network {heads.pop()}: another function; the weights "
            "are not taken"
        )


def pads_as_tensorflow(backbone: nn.Module) -> bool:
    """Whether a network of timm pads at the right and lower edge, as TensorFlow's do, and as EfficientNet-PyTorch does."""
    return any(type(module).__name__ == "Conv2dSame" for module in backbone.modules())
