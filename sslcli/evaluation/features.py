"""Representations and logits of many images, by a network that is not being trained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

BATCH = 512


@torch.no_grad()
def outputs(
    net: nn.Module,
    images: Tensor,
    *,
    normalise: Callable[[Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
) -> Tensor:
    """What `net` in evaluation mode makes of uint8 images (N, 3, H, W), normalised but not augmented: (N, d) float32.

    Evaluation mode holds for batch norm too, so no statistic moves and the order of the images does not matter.
    """
    net.eval()
    made = []
    for batch in torch.split(images, BATCH):
        with autocast():
            made.append(net(normalise(batch).contiguous(memory_format=torch.channels_last)).float())
    return torch.cat(made)
