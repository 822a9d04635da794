"""One training step of SimCLR, by this program and by lightly as its documentation's example has it. Same net, same views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.errors import StateError
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import training_of
from sslcli.training.context import Context
from sslcli.training.device import autocast, choose_precision, use_well, wait_for
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.recipe import defaults_of_open
from sslcli.training.step import Loss

SIZE, PROJECTOR = 32, (512, 128)  # pixels of a view; width of the projector's hidden layer and length of z
WITHOUT_IMAGES = 10_000  # random ones that are made where CIFAR-10 is not at hand


@dataclass(frozen=True)
class Timing:
    """Seconds of a step: until its views are there, and of all that follows."""

    data: float
    net: float

    @property
    def step(self) -> float:
        """Both."""
        return self.data + self.net


@dataclass(frozen=True)
class Program:
    """A training that can be asked for its next step; `net` is what two programs must have alike to be compared."""

    step: Callable[[], Timing]
    net: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What both are to do, and on which kind of device. `workers`, `channels_last` and `bf16` concern lightly alone."""

    batch_size: int
    data_dir: Path
    workers: int = 0
    channels_last: bool = False
    bf16: bool = False
    device: str = "cpu"


def ours(task: Task) -> Program:
    """The step of `ssl pretrain`: its method, views, optimizer and loop."""
    device = torch.device(task.device)
    use_well(device)  # as the command does
    method, training = training_of(*as_lightly_has_it(task))
    progress, made = Progress(), 0.0
    log = Log(
        "", events=None, start=0, steps=training.steps, epoch_steps=training.epoch_steps, per_step=task.batch_size,
        record_every=1,
    )  # fmt: skip

    def views_at(step: int) -> list[Tensor]:
        return training.views_of(step, training.batch_at(step))

    def loss_at(step: int) -> Loss:
        nonlocal made
        began = time.perf_counter()
        batch = training.batch_at(step)
        views = training.views_of(step, batch)
        wait_for(device)
        made = time.perf_counter() - began
        return training.loss_of(views, batch)

    def step() -> Timing:
        began = time.perf_counter()
        take_steps(
            method, training.optimizer, loss_at=loss_at, lr_at=training.lr_at, steps=progress.step + 1,
            epoch_steps=training.epoch_steps, seed=1, progress=progress, log=log, stop=Stop(), save=lambda: None,
            evaluate=lambda _: {},
        )  # fmt: skip
        wait_for(device)
        return Timing(made, time.perf_counter() - began - made)

    return Program(step, _net(method.encoder, method.get_submodule("projector"), views_at(0)))


def as_lightly_has_it(task: Task) -> tuple[Pretrain, Context]:
    """Options that give the net and the strengths of views that are lightly's by default; our own in all else."""
    options = Pretrain(
        backbone="resnet18", stem="conv3", projector_hidden=PROJECTOR[0], projector_dim=PROJECTOR[1],
        batch_size=task.batch_size, optimizer="sgd", view_sizes=str(SIZE), crop_min=0.08,
        brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, grey=0.2,
    )  # fmt: skip
    options = options.because("from the recipe", **defaults_of_open(options))
    device, none = torch.device(task.device), torch.empty(0, dtype=torch.uint8)
    data = ImageData(train_images=images_of(task.data_dir), train_labels=none, test_images=none, test_labels=none, classes=())
    precision = choose_precision("auto", device)
    return options, Context(data.to(device), device, autocast(device, precision), "", precision)


def lightly(task: Task) -> Program:
    """lightly's example (docs.lightly.ai/examples/simclr.html) with CIFAR's stem, at `task.batch_size`.

    As it stands there: PIL images, its transform without blur, a DataLoader, a pass for each view, plain SGD.
    """
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform

    backbone = torchvision.models.resnet18()
    backbone.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    backbone.maxpool = backbone.fc = nn.Identity()
    head = SimCLRProjectionHead(512, *PROJECTOR)
    model = nn.Sequential(backbone, head)
    model.to(task.device, memory_format=torch.channels_last if task.channels_last else torch.contiguous_format)  # type: ignore[call-overload]
    images = Pictures(images_of(task.data_dir), SimCLRTransform(input_size=SIZE, gaussian_blur=0.0))
    loader = DataLoader(
        images, batch_size=task.batch_size, shuffle=True, drop_last=True, num_workers=task.workers,
        pin_memory=task.device == "cuda", persistent_workers=task.workers > 0,
    )  # fmt: skip
    device = torch.device(task.device)
    batches = endless(loader)
    criterion, optimizer = NTXentLoss(), torch.optim.SGD(model.parameters(), lr=0.06)

    def step() -> Timing:
        began = time.perf_counter()
        views = [view.to(task.device, non_blocking=True) for view in next(batches)]
        if task.channels_last:
            views = [view.contiguous(memory_format=torch.channels_last) for view in views]
        wait_for(device)
        ready = time.perf_counter()
        with torch.autocast(task.device, dtype=torch.bfloat16, enabled=task.bf16):
            loss = criterion(*(model(view) for view in views))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        wait_for(device)
        return Timing(ready - began, time.perf_counter() - ready)

    return Program(step, _net(backbone, head, next(batches)))


def _net(backbone: nn.Module, projector: nn.Module, views: list[Tensor]) -> dict[str, object]:
    """Parameters of the backbone, weights of the projector's linear layers, shapes of the views."""
    weights = sum(p.numel() for p in projector.parameters() if p.ndim == 2)
    return {
        "backbone": sum(p.numel() for p in backbone.parameters()),
        "projector": weights,
        "views": [tuple(view.shape) for view in views],
    }


def images_of(data_dir: Path) -> Tensor:
    """CIFAR-10's training images (50000, 3, 32, 32) uint8 from `data_dir`, or random ones where it is not there."""
    try:
        return load_data("cifar10", data_dir).train_images
    except StateError:
        random = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (WITHOUT_IMAGES, 3, 32, 32), generator=random, dtype=torch.uint8)


class Pictures(Dataset[list[Tensor]]):
    """uint8 images (N, 3, H, W) as torchvision's CIFAR10 hands them out: PIL images, transformed one by one."""

    def __init__(self, images: Tensor, transform: Callable[..., Any]) -> None:
        self.pixels, self.transform = images.permute(0, 2, 3, 1).contiguous().numpy(), transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> list[Tensor]:
        views: list[Tensor] = self.transform(Image.fromarray(self.pixels[index]))
        return views


def endless(loader: DataLoader[list[Tensor]]) -> Iterator[list[Tensor]]:
    """Batches, epoch after epoch."""
    while True:
        yield from loader
