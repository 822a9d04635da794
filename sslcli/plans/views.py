"""Views from their options: for ssl pretrain to train on, and for ssl views to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from sslcli.data.augment import Augmentation, Parameters, make_views, parts_of, sample_parameters, unpacked, views_by
from sslcli.data.batches import generator, hand_over
from sslcli.distributed import of_all, own_part
from sslcli.errors import UsageError
from sslcli.methods.method import ViewSpec
from sslcli.options.pictures import Views
from sslcli.options.pretrain import Pretrain
from sslcli.training.capture import Recorded
from sslcli.training.context import Context
from sslcli.training.step import Batch

LARGE = 96  # pixels per side, from which on images are treated like those of ImageNet
OF_LARGE = {"crop_min": 0.08, "brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2, "grey": 0.2, "blur": 0.5}
"""The strengths of SimCLR (Chen et al. 2020, arXiv:2002.05709, appendix A), at strength 1."""
OF_SMALL = {"crop_min": 0.2, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "grey": 0.1, "blur": 0.0}
"""The usual strengths at 32 pixels: half the jitter and grey, no blur (appendix B.9), larger crops."""

Augmented = TypeVar("Augmented", Pretrain, Views)


def view_maker(
    options: Pretrain, context: Context, steps: int, *, views: Sequence[ViewSpec], replayed: bool = False
) -> Callable[[int, Batch], list[Tensor]]:
    """The function from a step and its images to their views: normalised batches (B, 3, S, S), in the order of `views`.

    With several processes each makes the views of its part of the batch, the same as a single process would. On a GPU this
    work can be recorded and `replayed`.
    """
    make = _Replaying() if replayed else make_views
    mean, std = context.data.normalisation
    height, width = context.data.train_images.shape[-2:]
    usual = augmentation_of(options)
    wanted = [(spec.part, replace(usual, **spec.augmentation)) for spec in views for _ in range(spec.count)]
    plan = view_size_plan(options.view_sizes)

    def views_of(step: int, batch: Batch) -> list[Tensor]:
        chosen, count = batch[0], of_all(len(batch[0]))
        size = next(size for size, until in plan if step < until * steps)
        random = generator(options.seed, "views", step)
        drawn = [
            sample_parameters(count, height, width, augmentation, random).of(own_part(count)) for _, augmentation in wanted
        ]
        sides = [side_of(size, part) for part, _ in wanted]
        made = [make(chosen, parameters, size=side, mean=mean, std=std) for parameters, side in zip(drawn, sides, strict=True)]
        return [view.contiguous(memory_format=torch.channels_last) for view in made]

    return views_of


class _Replaying:
    """`make_views` on a GPU, recorded and replayed for each size and order of the colour operations."""

    def __init__(self) -> None:
        self.recorded = Recorded.in_one_pool()

    def __call__(self, images: Tensor, parameters: Parameters, *, size: int, mean: Tensor, std: Tensor) -> Tensor:
        order, parts = parameters.order, parts_of(parameters)

        def work(images: Tensor, rows: Tensor) -> list[Tensor]:
            return [views_by(images, unpacked(rows, order), parts, size=size, mean=mean, std=std)]

        inputs = [images, hand_over(parameters.packed(), images.device)]
        return self.recorded.run(work, inputs, key=(size, order, parts, images.shape))[0].clone()


def side_of(size: int, part: float) -> int:
    """The side in pixels, at least 8, of views that are `part` of `size`."""
    return size if part == 1 else max(8, round(part * size))


def work_of(view_sizes: str, steps: int) -> Callable[[int], float]:
    """The function from a number of steps to their work, which depends on the sizes of the views.

    The time of a step grows with the side to the power 1.5, measured from 16 to 32 pixels on three encoders: the optimizer's
    time does not grow, that of convolutions grows with the area.
    """
    plan = view_size_plan(view_sizes)

    def work_until(step: int) -> float:
        begins = [0.0, *(until * steps for _, until in plan)]
        parts = zip(begins, plan, strict=False)
        return sum(max(0.0, min(step, until * steps) - begin) * math.pow(size, 1.5) for begin, (size, until) in parts)

    return work_until


def augmentation_of(options: Pretrain | Views) -> Augmentation:
    """The augmentation of the options; values that are missing or None have their defaults."""
    names = Augmentation.__dataclass_fields__.keys() & options.options().keys()
    return Augmentation(**{name: value for name in names if (value := getattr(options, name)) is not None})


def with_strengths(options: Augmented, image_size: int) -> Augmented:
    """The options, with each strength of the views that is None set by the size of the images."""
    known = OF_LARGE if image_size >= LARGE else OF_SMALL
    open_ones = {name: value for name, value in known.items() if getattr(options, name) is None}
    return options.because(f"from the image size, {image_size}", **open_ones)


def view_size_plan(text: str) -> list[tuple[int, float]]:
    """Turn "32", or "16:0.6,24:0.3,32:0.1", into sizes and, for each, the fraction of training at which it ends."""
    plan, until = [], 0.0
    try:
        for part in text.split(","):
            size, _, share = part.partition(":")
            until += float(share or 1)
            plan.append((int(size), until))
    except ValueError:
        plan = []
    ends = [0.0, *(end for _, end in plan)]
    rising = all(first < second for first, second in pairwise(ends))
    if not plan or not rising or not abs(until - 1) <= 1e-6 or any(size < 8 for size, _ in plan):
        raise UsageError(
            f"--view-sizes {text!r}: accepted is a side of at least 8 pixels, or sides with fractions that add up to 1, "
            "like 16:0.6,24:0.3,32:0.1"
        )
    return [*plan[:-1], (plan[-1][0], 1.0)]
