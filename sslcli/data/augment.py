"""Views: random crop, flip, colour jitter, greyscale and blur for a whole batch at once.

The result equals torchvision's `resized_crop(antialias=True)`, `hflip`, `adjust_*`, `rgb_to_grayscale` and `gaussian_blur`
on float images with the same parameters, to within 2/255 (`tests/data/test_augment.py`). Parameters are drawn per image, with
one exception: the order of the four colour operations is drawn once per batch and view. Each image still sees every order
equally often, as with torchvision, but all images of a batch share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sslcli.data.batches import hand_over

GREY = (0.2989, 0.587, 0.114)  # ITU-R BT.601 luma, the weights of torchvision's rgb_to_grayscale
TRIES = 10  # crops proposed per image before the largest central one is taken, as in torchvision's RandomResizedCrop


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly views differ from their image. Probabilities and fractions lie in [0, 1].

    The defaults are SimCLR's (Chen et al. 2020, arXiv:2002.05709, appendix A) with half its jitter, which is
    what the field uses at 32 pixels, and without its blur (appendix B.9).
    """

    crop_min: float = 0.2
    crop_max: float = 1.0
    aspect: float = 4 / 3
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.0


@dataclass(frozen=True)
class Parameters:
    """The drawn parameters of one view of B images: tensors with B rows on the CPU, and the order of colour operations.

    `crop` is (B, 4) top, left, height, width in pixels; `flip`, `grey` are (B,) booleans; `brightness`, `contrast`,
    `saturation` are (B,) factors, 1 for none; `hue` is (B,) in turns, 0 for none; `sigma` is (B,) in pixels of the
    view, 0 for no blur.
    """

    crop: Tensor
    flip: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    grey: Tensor
    sigma: Tensor
    order: tuple[int, ...] = (0, 1, 2, 3)

    def of(self, rows: slice) -> Parameters:
        """The parameters of some of the images."""
        tensors = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "order"}
        return Parameters(order=self.order, **tensors)

    def on(self, device: torch.device) -> Parameters:
        """The same on `device`, moved there in one copy."""
        return self if device.type == "cpu" else unpacked(hand_over(self.packed(), device), self.order)

    def packed(self) -> Tensor:
        """Everything but the order in one tensor (B, 11) float32."""
        names = [f.name for f in fields(self) if f.name not in ("crop", "order")]
        return torch.cat([self.crop, *(getattr(self, name)[:, None].float() for name in names)], 1)


def unpacked(rows: Tensor, order: tuple[int, ...]) -> Parameters:
    """Undo `Parameters.packed`, on the device of `rows`."""
    names = [f.name for f in fields(Parameters) if f.name not in ("crop", "order")]
    columns = {name: rows[:, 4 + i] for i, name in enumerate(names)}
    chances = {name: columns[name].to(torch.bool) for name in ("flip", "grey")}
    return Parameters(crop=rows[:, :4], order=order, **(columns | chances))


def sample_parameters(
    count: int, height: int, width: int, augmentation: Augmentation, generator: torch.Generator
) -> Parameters:
    """Draw the parameters of one view for `count` images of height x width pixels."""
    a = augmentation

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(shape or (count,), generator=generator) * (high - low) + low

    def chance(probability: float) -> Tensor:
        return torch.rand(count, generator=generator) < probability

    jittered = chance(a.jitter)

    def factor(strength: float) -> Tensor:
        return torch.where(jittered, uniform(max(0.0, 1 - strength), 1 + strength), 1.0)

    return Parameters(
        crop=_sample_crops(count, height, width, a, uniform),
        flip=chance(a.flip),
        brightness=factor(a.brightness),
        contrast=factor(a.contrast),
        saturation=factor(a.saturation),
        hue=torch.where(jittered, uniform(-a.hue, a.hue), 0.0),
        grey=chance(a.grey),
        sigma=torch.where(chance(a.blur), uniform(0.1, 2.0), 0.0),
        order=tuple(torch.randperm(4, generator=generator).tolist()),
    )


def _sample_crops(count, height, width, a, uniform) -> Tensor:  # type: ignore[no-untyped-def]
    """(count, 4) crops: uniform in area, log-uniform in aspect ratio, the first of TRIES that fits in the image."""
    area = height * width * uniform(a.crop_min, a.crop_max, count, TRIES)
    ratio = torch.exp(uniform(-math.log(a.aspect), math.log(a.aspect), count, TRIES))
    w, h = torch.sqrt(area * ratio).round(), torch.sqrt(area / ratio).round()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.float().argmax(1, keepdim=True)
    h, w = h.gather(1, first).squeeze(1), w.gather(1, first).squeeze(1)
    top, left = (uniform(0, 1) * (height - h + 1)).floor(), (uniform(0, 1) * (width - w + 1)).floor()
    drawn = torch.stack([top, left, h, w], 1)
    full_h, full_w = min(height, round(width * a.aspect)), min(width, round(height * a.aspect))
    central = torch.tensor([(height - full_h) // 2, (width - full_w) // 2, full_h, full_w], dtype=drawn.dtype)
    return torch.where(fits.any(1, keepdim=True), drawn, central)


def make_views(images: Tensor, parameters: Parameters, *, size: int, mean: Tensor, std: Tensor) -> Tensor:
    """Turn uint8 images (B, 3, H, W) into normalised float32 views (B, 3, size, size) on the same device.

    `mean` and `std` are (3,) in [0, 1]. A view is the cropped image resized with antialiasing, flipped, jittered,
    greyed, blurred, and then normalised to (view - mean) / std. Nothing waits for the device.
    """
    there = parameters.on(images.device)
    return views_by(images, there, parts_of(parameters), size=size, mean=mean, std=std)


def parts_of(parameters: Parameters) -> tuple[bool, bool]:
    """Whether any hue is turned, and whether any view is blurred; otherwise the operation is skipped. For CPU parameters."""
    return bool(parameters.hue.any()), bool(parameters.sigma.any())


def views_by(images: Tensor, there: Parameters, parts: tuple[bool, bool], *, size: int, mean: Tensor, std: Tensor) -> Tensor:
    """`make_views` with parameters on the images' device, and their `parts_of`: the same operations for every batch."""
    turned, blurred = parts
    rows, columns = crop_matrices(there.crop, images.shape[-2], images.shape[-1], size)
    columns = torch.where(there.flip[:, None, None], columns.flip(1), columns)
    pixels = images.to(torch.float32) / 255
    views = rows[:, None] @ pixels @ columns[:, None].mT
    views = _jitter(views.clamp_(0, 1), there, turned=turned)
    if blurred:
        blur = blur_matrices(there.sigma, size)
        views = blur[:, None] @ views @ blur[:, None].mT
    return (views - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def crop_matrices(crop: Tensor, height: int, width: int, size: int) -> tuple[Tensor, Tensor]:
    """Crop and antialiased bilinear resize as two matrices: rows (B, size, height) and columns (B, size, width).

    `rows @ image @ columns.T` is the resized crop. This is exact, because the resize is linear and separable.
    """
    top, left, h, w = crop.unbind(1)
    return _resize_matrix(top, h, height, size), _resize_matrix(left, w, width, size)


def _resize_matrix(offset: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
    """(B, size, pixels) weights that resize pixels [offset, offset + length) to `size`.

    A triangle filter, wider when shrinking, cut at the crop's edges; each row sums to 1.
    """
    scale = (length / size)[:, None, None]
    centre = (torch.arange(size, device=offset.device) + 0.5)[None, :, None] * scale
    source = torch.arange(pixels, device=offset.device)[None, None, :] - offset[:, None, None]
    weight = (1 - ((source + 0.5 - centre) / scale.clamp(min=1)).abs()).clamp(min=0)
    weight = weight * ((source >= 0) & (source < length[:, None, None]))
    return weight / weight.sum(2, keepdim=True)


def blur_matrices(sigma: Tensor, size: int) -> Tensor:
    """(B, size, size) Gaussian blur along one axis with mirrored edges; the kernel spans a tenth of the view.

    Sigma 0 leaves the image as it is.
    """
    reach, device = max(1, size // 20), sigma.device
    offsets = torch.arange(-reach, reach + 1, device=device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    source = (torch.arange(size, device=device)[:, None] + offsets).abs()
    source = torch.where(source >= size, 2 * (size - 1) - source, source)
    matrix = torch.zeros(len(sigma), size, size, device=device)
    return matrix.scatter_add_(2, source.expand(len(sigma), -1, -1), kernel[:, None].expand(-1, size, -1))


def _jitter(views: Tensor, parameters: Parameters, *, turned: bool) -> Tensor:
    """Apply brightness, contrast, saturation and hue in the drawn order, then greyscale; views and result in [0, 1].

    `turned` says whether any hue is.
    """

    def column(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1)

    for operation in parameters.order:
        if operation == 0:
            views = (views * column(parameters.brightness)).clamp_(0, 1)
        elif operation == 1:
            factor = column(parameters.contrast)
            views = (views * factor + _grey(views).mean((2, 3), keepdim=True) * (1 - factor)).clamp_(0, 1)
        elif operation == 2:
            factor = column(parameters.saturation)
            views = (views * factor + _grey(views) * (1 - factor)).clamp_(0, 1)
        elif turned:
            views = turn_hue(views, column(parameters.hue))
    return torch.where(column(parameters.grey), _grey(views), views)


def _grey(views: Tensor) -> Tensor:
    r, g, b = views.unbind(1)
    return (GREY[0] * r + GREY[1] * g + GREY[2] * b).unsqueeze(1)


def turn_hue(views: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB views (B, 3, H, W) in [0, 1] by `turns` (B, 1, 1, 1) of the colour circle.

    Via HSV: with value v, chroma c and hue h in sixths, channel n of 5, 3, 1 is
    v - c * clamp(min(k, 4 - k), 0, 1), k = (n + h) mod 6.
    """
    r, g, b = views.unbind(1)
    value = torch.maximum(torch.maximum(r, g), b)  # several times as fast as amax over the channels
    chroma = value - torch.minimum(torch.minimum(r, g), b)
    safe = torch.where(chroma == 0, 1.0, chroma)
    hue = torch.where(value == r, (g - b) / safe, torch.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    k = (torch.arange(5, 0, -2, device=views.device).view(3, 1, 1) + (hue[:, None] + 6 * turns)) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)
