"""Representations and logits of many images, from a network that is not being trained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from sslcli.data.image_data import in_parts
from sslcli.data.on_disk import Images

BATCH, PIXELS = 512, 2**21  # images and pixels at a time: fewer large images


@torch.no_grad()
def outputs(
    net: nn.Module,
    images: Images,
    *,
    normalise: Callable[[Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
) -> Tensor:
    """The outputs (N, d) float32 of `net`, in evaluation mode, for uint8 images (N, 3, H, W), normalised, not augmented.

    Batch norm is in evaluation mode too, so no statistic changes and the order of the images does not matter.
    """
    net.eval()
    made, device = [], next(net.parameters()).device
    height, width = images.shape[-2:]
    if not len(images):  # only the network knows d
        black = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        return outputs(net, black, normalise=normalise, autocast=autocast)[:0]
    for batch in in_parts(images, max(1, min(BATCH, PIXELS // (height * width)))):
        with autocast():
            made.append(net(normalise(batch.to(device)).contiguous(memory_format=torch.channels_last)).float())
    return torch.cat(made)
