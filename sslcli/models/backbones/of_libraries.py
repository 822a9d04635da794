"""Networks that a library builds by name, as backbones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sslcli.errors import UsageError

FORMS = "accepted is a network of images without its classifier, or one whose last layer is linear"


def backbone_of(make: Callable[[], nn.Module], backbone: str, size: int) -> nn.Module:
    """The network of `make`, for images of `size` pixels; `num_features` is the length of its output.

    A UsageError if it does not turn an image of that size into a vector.
    """
    try:
        net: Any = make()
        with torch.no_grad():
            h = net.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--backbone {backbone} does not take images of {size} pixels ({reason}); choose another") from error
    if not isinstance(h, torch.Tensor) or h.ndim != 2:
        raise UsageError(f"--backbone {backbone} does not turn an image into a vector; {FORMS}")
    net.num_features = h.shape[1]
    made: nn.Module = net.train()
    return made
