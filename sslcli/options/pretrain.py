"""The options of ssl pretrain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Self

from typer import Option

from sslcli.errors import UsageError
from sslcli.methods import FILES, METHODS, MethodFile, Source, methods_with
from sslcli.models import BACKBONES, INPUT, LIBRARIES, SIZED, all_stems
from sslcli.options.annotations import (
    MACHINE,
    MAX_SEED,
    MODEL,
    RUN,
    DataDir,
    Dataset,
    Deterministic,
    Device,
    Download,
    Fit,
    ImageSize,
    Labels,
    Minutes,
    Name,
    Precision,
    Watch,
)
from sslcli.options.command import Command
from sslcli.options.of_methods import OF_METHODS, method_hints, of_any_method, with_options_of_methods
from sslcli.options.of_views import Blur, Brightness, Contrast, CropMinBySize, Grey, Hue, Jitter, Saturation, ViewSizes
from sslcli.options.values import But, OneOf, check, one_of
from sslcli.runs.naming import METHOD_IN_FILE, file_of_method
from sslcli.training.recipe import TRAINING, BatchSize, Flip, Lr, MaxSteps, Momentum, Optimizer, Warmup, WeightDecay

IN_FILE = "FILE.py:CLASS"
"""The form in which --method names a method outside the program."""


@dataclass(frozen=True, kw_only=True)
@with_options_of_methods
class Pretrain(Command):
    """Train an encoder without labels.

    The encoder sees augmented views of the training images and learns to minimise the method's loss. The result is a run with
    its checkpoints; the next command is ssl probe. To see the options of a method, type: ssl pretrain --method NAME --help
    """

    joins_processes: ClassVar[bool] = True
    outside: ClassVar[MethodFile | None] = None
    """The file of a method outside the program, as it was read; None for a built-in method."""
    method: Annotated[
        str,
        Option(
            help=f"One of: {', '.join(METHODS)}; or {IN_FILE} for your own. Each has its own options.", rich_help_panel=MODEL
        ),
        OneOf(tuple(METHODS), form=(IN_FILE, METHOD_IN_FILE)),
    ] = "simclr"
    backbone: Annotated[
        str,
        Option(
            help=f"One of: {', '.join(BACKBONES)}; or timm:NAME or torchvision:NAME for any model of these.",
            rich_help_panel=MODEL,
        ),
        one_of(BACKBONES, beginnings=LIBRARIES),
    ] = "resnet18"
    stem: Annotated[
        str,
        Option(
            help="First layer: auto, conv3, conv3-s2 (stride 2), conv7-pool, patchN and others; each backbone has some.",
            rich_help_panel=MODEL,
        ),
        one_of(("auto",), all_stems(), beginnings=(SIZED, INPUT)),
    ] = "auto"
    init: Annotated[
        str,
        Option(
            help="scratch: a random encoder; or weights from elsewhere: FILE, timm:NAME or torchvision:NAME, as for ssl probe.",
            rich_help_panel=MODEL,
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
    seed: Annotated[
        int, Option(min=0, max=MAX_SEED, help="Seed of weights, order, views and splits.", rich_help_panel=TRAINING)
    ] = 1
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
    knn_images: Annotated[int, Option(min=10, help="Training images that kNN searches, at most.", rich_help_panel=TRAINING)] = (
        5000
    )
    watch: Watch = None
    keep_every: Annotated[
        int,
        Option(
            min=0, help="Epochs between kept checkpoints, for ssl probe --at-epoch; 0: keep only the last.", rich_help_panel=RUN
        ),
    ] = 0
    device: Device = "auto"
    precision: Precision = "auto"
    compile: Annotated[
        bool,
        Option(
            "--compile",
            help="Compile the training step, and on a GPU replay it. The start takes half a minute or more.",
            rich_help_panel=MACHINE,
        ),
    ] = False
    deterministic: Deterministic = False
    name: Name = None
    run: Annotated[
        str | None,
        Option(help="Continue the pretrain run with this name or id; start it if there is none.", rich_help_panel=RUN),
        But("latest"),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print every option with its origin, and the expected time; train nothing.")
    ] = False

    def __new__(cls, **values: object) -> Self:
        """Options that also have the fields of the method's file, if the method is outside the program."""
        kind = cls.with_method(str(values.get("method", cls.method)))
        if not issubclass(kind, cls):
            raise TypeError(f"options of --method {cls.outside and cls.outside.path} do not become those of another method")
        return super().__new__(kind)

    def __reduce__(self) -> tuple[object, ...]:
        """Give another process the method's file as this one read it."""
        return _taken_over, (self.outside and self.outside.source, vars(self))

    def __post_init__(self) -> None:
        own = file.options if (file := self.file_of(self.method)) else {}
        for name, option in own.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, option.default)
        super().__post_init__()
        for name in OF_METHODS:
            if name not in own and getattr(self, name) is not None:
                typed, whose = f"--{name.replace('_', '-')} {getattr(self, name)}", ", ".join(methods_with(name))
                raise UsageError(f"{typed}: belongs to {whose}; with --method {self.method} leave it out")

    @classmethod
    def with_method(cls, method: str) -> type[Pretrain]:
        """The class of options for a method; a UsageError if a file outside the program does not define one."""
        if file_of_method(method) is None:
            return cls if cls.outside is None else Pretrain
        if cls.outside is not None and cls.outside.path == method:
            return cls
        from sslcli.methods.outside import read_source  # few need it; the others start faster without it

        return _with_file(read_source(method))

    @classmethod
    def file_of(cls, method: str) -> MethodFile | None:
        """The description of a method from its file; None if there is no such method."""
        return cls.with_method(method).outside or FILES.get(method)

    @property
    def file(self) -> MethodFile:
        """The description of the method, as its file was when these options were made."""
        return self.outside or FILES[self.method]

    @classmethod
    def hints(cls, values: Mapping[str, object]) -> dict[str, object]:
        """The annotations, with the method's own for the options of the method."""
        return super().hints(values) | dict(method_hints(cls.file_of(str(values.get("method", cls.method)))))

    def default_of(self, name: str) -> object:
        """The default; for an option of methods that of this method, or None if it has no such option."""
        own = self.file.options
        if name in own:
            return own[name].default
        return None if name in OF_METHODS else super().default_of(name)

    def left_open_by(self, values: Mapping[str, object]) -> dict[str, object]:
        """With another method: the options of methods that nobody chose."""
        if values.get("method", self.method) == self.method:
            return {}
        return {name: None for name in OF_METHODS if not self.was_chosen(name)}

    def options(self) -> dict[str, object]:
        """The options as plain values; of the options of methods, only this method's."""
        own = self.file.options
        return {name: value for name, value in super().options().items() if name not in OF_METHODS or name in own}


@lru_cache(maxsize=32)
def _with_file(source: Source) -> type[Pretrain]:
    """The class of options with those of a file outside the program as fields; a UsageError if a name is taken."""
    from sslcli.methods.outside import read_method

    file = read_method(source)
    if taken := [name for name in file.options if name in dir(Pretrain) and name not in OF_METHODS]:
        raise UsageError(f"--method {file.path}: its options {', '.join(taken)} have names that are taken; rename them")
    for name, hint in method_hints(file).items():
        try:
            check(name, hint, file.options[name].default)
        except UsageError as error:
            raise UsageError(f"--method {file.path}: wrong default: {error}") from None
    added = [(name, of_any_method(file, name), None) for name in file.options if name not in OF_METHODS]
    return make_dataclass("Pretrain", added, bases=(Pretrain,), namespace={"outside": file}, frozen=True, kw_only=True)


def _taken_over(source: Source | None, values: dict[str, object]) -> Pretrain:
    """Rebuild options that another process has made and checked."""
    made = object.__new__(Pretrain if source is None else _with_file(source))
    vars(made).update(values)
    return made
