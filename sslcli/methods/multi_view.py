"""Several views of an image, some of them small: what a method asks to see, and how an encoder goes over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslcli.methods.method import ViewSpec
from sslcli.models.encoder import Encoder

SMALL = ViewSpec(part=0.5, augmentation={"crop_min": 0.05, "crop_max": 0.4})
"""A small view: half the side, a quarter of the work. DINO's shares of the image's area (arXiv:2104.14294)."""


def large_and_small(large: int, small: int) -> tuple[ViewSpec, ...]:
    """What a method asks for that wants so many usual views, and after them so many small ones."""
    of_small = ViewSpec(count=small, part=SMALL.part, augmentation=SMALL.augmentation)
    return (ViewSpec(count=large), *[of_small] * (small > 0))


def pairs(large: int, small: int) -> list[tuple[int, int]]:
    """Which views of an image are compared: all pairs, but for those of two small ones, which may show nothing in common."""
    return [(i, j) for i in range(large) for j in range(i + 1, large + small)]


def representations(encoder: Encoder, views: Sequence[Tensor]) -> Tensor:
    """h (V B, dim) of V views (B, 3, S, S), one after the other. Views of one side go through the encoder at once.

    So batch norm in the encoder takes its statistics over all of them, and over the small views apart.
    """
    sides = sorted({view.shape[-1] for view in views}, key=[view.shape[-1] for view in views].index)
    parts = [encoder(torch.cat([view for view in views if view.shape[-1] == side])) for side in sides]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
