"""Representations and logits of many images, by a network that is not being trained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from sslcli.data.image_data import in_parts
from sslcli.data.on_disk import Images

BATCH, PIXELS = 512, 2**21  # images at a time, and pixels: of large images there are fewer


@torch.no_grad()
def outputs(
    net: nn.Module,
    images: Images,
    *,
    normalise: Callable[[Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
) -> Tensor:
    """What `net` in evaluation mode makes of uint8 images (N, 3, H, W), normalised but not augmented: (N, d) float32.

    Evaluation mode holds for batch norm too, so no statistic moves and the order of the images does not matter.
    """
    net.eval()
    made, device = [], next(net.parameters()).device
    height, width = images.shape[-2:]
    if not len(images):  # what d is, the net alone knows
        black = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        return outputs(net, black, normalise=normalise, autocast=autocast)[:0]
    for batch in in_parts(images, max(1, min(BATCH, PIXELS // (height * width)))):
        with autocast():
            made.append(net(normalise(batch.to(device)).contiguous(memory_format=torch.channels_last)).float())
    return torch.cat(made)
