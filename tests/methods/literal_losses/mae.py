"""arXiv:2111.06377: section 3, patch by patch and pixel by pixel. Which patches are hidden is the method's own draw."""

import math
from typing import Any

import torch
from torch import Tensor

from sslcli.methods.patches import shuffled
from tests.methods.literal_losses import mean

VARIANTS = ({"mask_ratio": 0.5}, {"decoder_depth": 2})


def _patches(image: Tensor, side: int) -> list[Tensor]:
    """The patches (3, side, side) of an image (3, H, W), row after row."""
    rows, columns = image.shape[1] // side, image.shape[2] // side
    return [image[:, y * side : (y + 1) * side, x * side : (x + 1) * side] for y in range(rows) for x in range(columns)]


def _position(row: int, column: int, width: int) -> Tensor:
    """Sines and cosines of the row, then of the column."""
    rates = [1 / 10_000 ** (4 * k / width) for k in range(width // 4)]
    return torch.tensor(
        [math.sin(row * rate) for rate in rates] + [math.cos(row * rate) for rate in rates]
        + [math.sin(column * rate) for rate in rates] + [math.cos(column * rate) for rate in rates],
        dtype=torch.float64,
    )  # fmt: skip


def _encoded(vit: Any, patches: list[Tensor], shown: list[int], positions: Tensor) -> Tensor:
    """The class token and those of the patches that are shown."""
    weight, bias = vit.conv_proj.weight.flatten(1), vit.conv_proj.bias
    tokens = [vit.class_token[0, 0] + positions[0]]
    tokens += [weight @ patches[i].flatten() + bias + positions[1 + i] for i in shown]
    made: Tensor = vit.encoder.ln(vit.encoder.layers(torch.stack(tokens)[None]))[0]
    return made


def _of_image(method: Any, image: Tensor, order: list[int], columns: int) -> list[Tensor]:
    """The squared error of each pixel of the hidden patches."""
    vit, side = method.encoder.backbone, method.encoder.backbone.patch_size
    patches = _patches(image, side)
    count = int(len(patches) * (1 - method.mask_ratio))
    shown, hidden = order[:count], order[count:]
    known = vit.positions(image.shape[1] // side, columns)[0]
    first, *encoded = [method.embed(token) for token in _encoded(vit, patches, shown, known)]
    sequence = [first]
    for i in range(len(patches)):
        token = encoded[shown.index(i)] if i in shown else method.mask_token[0, 0]
        sequence.append(token + _position(i // columns, i % columns, len(token)))
    made = method.decoder(torch.stack(sequence)[None])[0]
    errors = []
    for i in hidden:
        pixels = [patches[i][colour, y, x] for y in range(side) for x in range(side) for colour in range(3)]
        middle = mean(pixels)
        variance = sum((pixel - middle) ** 2 for pixel in pixels) / (len(pixels) - 1)
        errors += [(made[1 + i, k] - (pixel - middle) / (variance + 1e-6) ** 0.5) ** 2 for k, pixel in enumerate(pixels)]
    return errors


def literal(method: Any, batch: Any) -> Tensor:
    (view,) = batch.views
    columns = view.shape[3] // method.encoder.backbone.patch_size
    count = len(_patches(view[0], method.encoder.backbone.patch_size))
    order = shuffled(count, key=method.key, step=method.step, rows=batch.rows).tolist()
    return mean(
        [error for image, places in zip(view, order, strict=True) for error in _of_image(method, image, places, columns)]
    )
