"""Several views of an image, some of them small: their specification, and how an encoder processes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslcli.methods.method import ViewSpec
from sslcli.models.encoder import Encoder

SMALL = ViewSpec(part=0.5, augmentation={"crop_min": 0.05, "crop_max": 0.4})
"""A small view: half the side, a quarter of the work. Crops cover DINO's fractions of the area (arXiv:2104.14294)."""


def large_and_small(large: int, small: int) -> tuple[ViewSpec, ...]:
    """The specification of a number of usual views, followed by a number of small ones."""
    of_small = ViewSpec(count=small, part=SMALL.part, augmentation=SMALL.augmentation)
    return (ViewSpec(count=large), *[of_small] * (small > 0))


def pairs(large: int, small: int) -> list[tuple[int, int]]:
    """The pairs of views to compare: all pairs except those of two small views, which may show nothing in common."""
    return [(i, j) for i in range(large) for j in range(i + 1, large + small)]


def representations(encoder: Encoder, views: Sequence[Tensor]) -> Tensor:
    """h (V B, dim) of V views (B, 3, S, S), one after the other. Views of the same side go through the encoder together.

    So batch norm takes its statistics over all large views together, and separately over the small ones.
    """
    sides = sorted({view.shape[-1] for view in views}, key=[view.shape[-1] for view in views].index)
    parts = [encoder(torch.cat([view for view in views if view.shape[-1] == side])) for side in sides]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
