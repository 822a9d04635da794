"""The names that EfficientNet-PyTorch (github.com/lukemelas) and its descendants give to the weights of EfficientNets."""

from __future__ import annotations

import re
from collections.abc import Iterable

AROUND = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
SEPARABLE = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
"""The parts of a block without expansion."""
INVERTED = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1", "conv_pwl": "_project_conv",
            "bn3": "_bn2"}  # fmt: skip
"""The parts of a block with expansion; only these end in conv_pwl."""
EXCITED = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
PLACE = re.compile(r"(blocks\.\d+\.\d+)\.(se\.\w+|\w+)\.(\w+)")


def names_of_efficientnet(ours: Iterable[str]) -> dict[str, str]:
    """Their name of each tensor to timm's; {} unless all of `ours`, the names of a network, are those of an EfficientNet.

    Their blocks are counted through, timm's by stage.
    """
    names = list(ours)
    blocks = list(dict.fromkeys(found[1] for name in names if (found := PLACE.fullmatch(name))))
    inverted = {block for block in blocks if f"{block}.conv_pwl.weight" in names}
    theirs: dict[str, str] = {}
    for name in names:
        if found := PLACE.fullmatch(name):
            parts = EXCITED | (INVERTED if found[1] in inverted else SEPARABLE)
            place = f"_blocks.{blocks.index(found[1])}.{parts[found[2]]}.{found[3]}" if found[2] in parts else ""
        else:
            part, _, rest = name.partition(".")
            place = f"{AROUND[part]}.{rest}" if part in AROUND else ""
        if not place:
            return {}
        theirs[place] = name
    return theirs if blocks else {}
