"""The options of ssl finetune."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from sslcli.errors import UsageError
from sslcli.options.annotations import (
    TRAINING,
    BatchSize,
    CropMin,
    DataDir,
    Deterministic,
    Device,
    Download,
    EncoderRun,
    Flip,
    ImageSize,
    Init,
    LabelFraction,
    Labels,
    Lr,
    MaxSteps,
    Momentum,
    Name,
    Optimizer,
    ParentsBackbone,
    ParentsDataset,
    ParentsFit,
    ParentsSeed,
    ParentsStem,
    Precision,
    Warmup,
    WeightDecay,
)
from sslcli.options.command import Command


@dataclass(frozen=True, kw_only=True)
class Finetune(Command):
    """Train encoder and classifier end to end, from a pretrained or a random encoder.

    Data set, backbone, stem and seed are the pretrain run's, for --init scratch too, so that the two make a pair. The
    epoch is chosen on a validation part of the training images; the test images are only scored.
    """

    init: Init = "pretrained"
    encoder: EncoderRun = "latest"
    dataset: ParentsDataset = None
    labels: Labels = None
    image_size: ImageSize = None
    fit: ParentsFit = None
    data_dir: DataDir = None
    download: Download = False
    label_fraction: LabelFraction = 1.0
    backbone: ParentsBackbone = None
    stem: ParentsStem = None
    epochs: Annotated[int, Option(min=1, help="Passes over the labelled training images.", rich_help_panel=TRAINING)] = 10
    batch_size: BatchSize = 128
    optimizer: Optimizer = "sgd"
    lr: Lr = None
    search_lr: Annotated[
        bool,
        Option(
            "--search-lr",
            help="Choose --lr on validation images: short trainings at 0.1, 0.3, 1 and 3 times the default.",
            rich_help_panel=TRAINING,
        ),
    ] = False
    weight_decay: WeightDecay = None
    momentum: Momentum = 0.9
    warmup_epochs: Warmup = None
    max_steps: MaxSteps = None
    seed: ParentsSeed = None
    crop_min: CropMin = 0.6
    flip: Flip = 0.5
    device: Device = "auto"
    precision: Precision = "auto"
    deterministic: Deterministic = False
    name: Name = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search_lr and self.lr is not None:
            raise UsageError(f"--lr {self.lr:g} with --search-lr: accepted is one of them; leave the other out")
