"""Weights and representations that are no longer numbers end a run before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sslcli.errors import DivergedError


def hold_to_numbers(tensors: Mapping[str, Tensor]) -> None:
    """A DivergedError that names the first of the tensors with a value that is not finite; nothing if there is none."""
    broken = next((name for name, values in tensors.items() if not torch.isfinite(values).all()), None)
    if broken is not None:
        raise DivergedError(f"training diverged: {broken} is not finite")
