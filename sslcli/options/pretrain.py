"""The options of ssl pretrain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from typer import Option

from sslcli.errors import UsageError
from sslcli.methods import METHODS, methods_with, options_of
from sslcli.models import BACKBONES, SIZED, STEMS, TIMM
from sslcli.options.annotations import (
    MACHINE,
    MAX_SEED,
    MODEL,
    RUN,
    TRAINING,
    BatchSize,
    Blur,
    Brightness,
    Contrast,
    CropMinBySize,
    DataDir,
    Dataset,
    Deterministic,
    Device,
    Download,
    Fit,
    Flip,
    Grey,
    Hue,
    ImageSize,
    Jitter,
    Labels,
    Lr,
    MaxSteps,
    Minutes,
    Momentum,
    Name,
    Optimizer,
    Precision,
    Saturation,
    ViewSizes,
    Warmup,
    WeightDecay,
)
from sslcli.options.command import Command
from sslcli.options.of_methods import OF_METHODS, method_hints, with_options_of_methods
from sslcli.options.values import But, one_of


@dataclass(frozen=True, kw_only=True)
@with_options_of_methods
class Pretrain(Command):
    """Train an encoder without labels.

    The encoder is shown augmented views of the training images, and learns what the method's loss asks for. For the options of
    a method type: ssl pretrain --method NAME --help. Writes a run with its checkpoints; next comes ssl probe.
    """

    joins_processes: ClassVar[bool] = True
    method: Annotated[
        str, Option(help=f"One of: {', '.join(METHODS)}. Each has options of its own.", rich_help_panel=MODEL), one_of(METHODS)
    ] = "simclr"
    backbone: Annotated[
        str,
        Option(help=f"One of: {', '.join(BACKBONES)}, or any model of timm: timm:NAME.", rich_help_panel=MODEL),
        one_of(BACKBONES, beginning=TIMM),
    ] = "resnet18"
    stem: Annotated[
        str,
        Option(help="First layer, by backbone: auto, conv3, conv3-s2 (stride 2), conv7-pool, patchN.", rich_help_panel=MODEL),
        one_of(("auto",), *STEMS.values(), beginning=SIZED),
    ] = "auto"
    init: Annotated[
        str,
        Option(
            help="scratch: a random encoder; or a file of others' weights (.pt .pth .ckpt .safetensors).", rich_help_panel=MODEL
        ),
    ] = "scratch"
    dataset: Dataset = "cifar10"
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = "crop"
    data_dir: DataDir = None
    download: Download = False
    epochs: Annotated[int, Option(min=1, help="Passes over the training images.", rich_help_panel=TRAINING)] = 200
    minutes: Minutes = None
    batch_size: BatchSize = 512
    optimizer: Optimizer = "sgd"
    lr: Lr = None
    weight_decay: WeightDecay = None
    momentum: Momentum = 0.9
    warmup_epochs: Warmup = None
    max_steps: MaxSteps = None
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Of weights, order, views and splits.", rich_help_panel=TRAINING)] = 1
    view_sizes: ViewSizes = "auto"
    crop_min: CropMinBySize = None
    flip: Flip = 0.5
    jitter: Jitter = 0.8
    brightness: Brightness = None
    contrast: Contrast = None
    saturation: Saturation = None
    hue: Hue = None
    grey: Grey = None
    blur: Blur = None
    knn_every: Annotated[int, Option(min=0, help="Epochs between kNN measurements; 0: never.", rich_help_panel=TRAINING)] = 1
    knn_images: Annotated[int, Option(min=10, help="Most training images in the kNN's bank.", rich_help_panel=TRAINING)] = 5000
    keep_every: Annotated[
        int,
        Option(min=0, help="Epochs between checkpoints that are kept, for ssl probe --at-epoch; 0: none.", rich_help_panel=RUN),
    ] = 0
    device: Device = "auto"
    precision: Precision = "auto"
    compile: Annotated[
        bool,
        Option("--compile", help="torch.compile the step: a minute first, for long runs on a GPU.", rich_help_panel=MACHINE),
    ] = False
    deterministic: Deterministic = False
    name: Name = None
    run: Annotated[
        str | None,
        Option(help="Go on with the pretrain run of this name or id; if there is none, begin it.", rich_help_panel=RUN),
        But("latest"),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print every option, where it came from, and the expected time; train nothing.")
    ] = False

    def __post_init__(self) -> None:
        for name, option in options_of(self.method).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, option.default)
        super().__post_init__()
        for name in OF_METHODS:
            if name not in options_of(self.method) and getattr(self, name) is not None:
                typed, whose = f"--{name.replace('_', '-')} {getattr(self, name)}", ", ".join(methods_with(name))
                raise UsageError(f"{typed}: belongs to {whose}; with --method {self.method} leave it out")

    @classmethod
    def hints(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The annotations, those of the method's options as the method has them."""
        return super().hints(values) | method_hints(str(values.get("method", cls.method)))

    def default_of(self, name: str) -> Any:
        """The default; of a method's option that of the method, None where it has no such option."""
        if name not in OF_METHODS:
            return super().default_of(name)
        own = options_of(self.method)
        return own[name].default if name in own else None

    def left_open_by(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """With another method its own options, where nobody chose a value."""
        if values.get("method", self.method) == self.method:
            return {}
        return {name: None for name in OF_METHODS if not self.was_chosen(name)}

    def options(self) -> dict[str, Any]:
        """Plain values of the options, of those that belong to methods the method's own."""
        own = options_of(self.method)
        return {name: value for name, value in super().options().items() if name not in OF_METHODS or name in own}
