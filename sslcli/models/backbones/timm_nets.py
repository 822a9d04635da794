"""Any model of timm (Wightman, github.com/huggingface/pytorch-image-models) as a backbone, without weights and classifier."""

from __future__ import annotations

import difflib
import importlib
from functools import partial
from typing import Any

from torch import nn

from sslcli.errors import StateError, UsageError, install_line
from sslcli.models import TIMM
from sslcli.models.backbones.of_libraries import backbone_of

SIZES_TAKEN: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {})
"""Arguments beside the image size; the first set that a model takes is used. Transformers then resize their positions."""


def hold_to_known(backbone: str) -> Any:
    """The module timm. A StateError if it is not installed, a UsageError if it has no model with the name after "timm:"."""
    name = backbone.removeprefix(TIMM)
    try:
        timm: Any = importlib.import_module("timm")
    except ImportError as error:
        advice = f"to install it, type: {install_line('timm')}"
        raise StateError(f"--backbone {backbone} needs timm, which is not installed here; {advice}") from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 5, 0.5)
        meant = f"similar are {', '.join(TIMM + other for other in near)}" if near else "no name is similar"
        raise UsageError(
            f"--backbone {backbone}: timm {timm.__version__} has no such model; {meant}; timm.list_models() lists all"
        )
    return timm


def build(backbone: str, size: int) -> nn.Module:
    """The model for images of `size` pixels, if it takes a size; `num_features` is the length of its output.

    A UsageError if it does not take images of that size.
    """
    timm, name = hold_to_known(backbone), backbone.removeprefix(TIMM)
    return backbone_of(partial(_created, timm, name, size), backbone, size)


def _created(timm: Any, name: str, size: int) -> Any:
    return timm.create_model(name, pretrained=False, num_classes=0, **arguments_for(timm, name, size))


def arguments_for(timm: Any, name: str, size: int) -> dict[str, Any]:
    """The arguments, beside the name, for a timm model for images of `size` pixels; empty if it does not need the size."""
    for more in SIZES_TAKEN:
        try:
            timm.create_model(name, pretrained=False, num_classes=0, img_size=size, **more)
        except TypeError:  # timm's error for an argument that a model does not take
            continue
        return {"img_size": size, **more}
    return {}
