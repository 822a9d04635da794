"""The options of every command, once: a dataclass is the Typer command, and is what YAML and Python build.

Whatever builds a command, `Command.__post_init__` holds its values to what the annotations say.
"""

from __future__ import annotations

import copy
import difflib
import sys
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from typer import Argument, Option
from typer.models import ParameterInfo

from sslcli.data import DATASETS, FOLDER
from sslcli.errors import UsageError
from sslcli.evaluation.protocols import PROTOCOLS, own_options, usual
from sslcli.files import load_yaml
from sslcli.methods import FILES, METHODS, methods_with, options_of
from sslcli.models import BACKBONES, SIZED, STEMS, TIMM

T = TypeVar("T")
OF_PROTOCOL = own_options("probe")
"""The options of ssl probe that belong to some protocols alone, and the keys of these."""
DATA, MODEL, METHOD, TRAINING, VIEWS, MACHINE, RUN = "Data", "Model", "Method", "Training", "Views", "Machine", "Run"

MAX_SEED = 2**63 - 1
ENVIRONMENT = "environment"
"""The origin of an option's value that is neither typed nor a default."""
NO_OPTION_OF_A_RUN = ("config", "project", "debug", "origins", "dry_run", "run", "minutes")


@dataclass(frozen=True)
class OneOf:
    """Metadata of a text option: the accepted values, and beginnings (like folder:) after which anything may follow."""

    values: tuple[str, ...]
    beginnings: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Whether it is one of the values, or has one of the beginnings and more."""
        return value in self.values or any(value.startswith(begin) and value != begin for begin in self.beginnings)


@dataclass(frozen=True)
class Above:
    """Metadata of a number: it is greater than this."""

    low: float


@dataclass(frozen=True)
class But:
    """Metadata of a text option: it is not this word, which has a meaning of its own."""

    word: str


def _names(*groups: Iterable[str], beginning: str | None = None) -> OneOf:
    return OneOf(tuple(dict.fromkeys(name for group in groups for name in group)), (beginning,) if beginning else ())


_DATASETS = OneOf(tuple(DATASETS), beginnings=(FOLDER,))
Dataset = Annotated[
    str, Option(help=f"One of: {', '.join(DATASETS)}; or folder:PATH, your own pictures.", rich_help_panel=DATA), _DATASETS
]
Labels = Annotated[
    Path | None,
    Option(
        help="CSV file with columns path,label[,split] (folder:PATH only). Default: one class per sub-folder.",
        rich_help_panel=DATA,
    ),
]
ImageSize = Annotated[
    int | None,
    Option(min=8, max=1024, help="Of folder:PATH: side in pixels; default: by their median, 32 to 224.", rich_help_panel=DATA),
]
_FIT = "Of folder:PATH: crop to the central square, or pad to the whole picture"
Fit = Annotated[Literal["crop", "pad"], Option(help=f"{_FIT}.", rich_help_panel=DATA)]
DataDir = Annotated[
    Path | None,
    Option(envvar="SSL_DATA_DIR", help="Folder of the data sets; default: data in the project.", rich_help_panel=DATA),
]
Download = Annotated[bool, Option("--download", help="Download the data set if it is missing.", rich_help_panel=DATA)]
Device = Annotated[Literal["auto", "cuda", "mps", "cpu"], Option(help="Where to compute.", rich_help_panel=MACHINE)]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"],
    Option(help="Of products and convolutions; auto: bf16 where it is faster here.", rich_help_panel=MACHINE),
]
Deterministic = Annotated[
    bool, Option("--deterministic", help="The same bits each time on a GPU too, where it costs speed.", rich_help_panel=MACHINE)
]
BatchSize = Annotated[int, Option(min=2, help="Images a step, summed over devices.", rich_help_panel=TRAINING)]
Optimizer = Annotated[Literal["sgd", "adamw", "muon"], Option(help="Optimizer.", rich_help_panel=TRAINING)]
Lr = Annotated[float | None, Option(min=0, help="Highest rate; default by optimizer and batch.", rich_help_panel=TRAINING)]
WeightDecay = Annotated[
    float | None, Option(min=0, help="Weight decay, not on biases and norms; default by optimizer.", rich_help_panel=TRAINING)
]
Momentum = Annotated[float, Option(min=0, max=0.9999, help="Momentum of SGD and Muon.", rich_help_panel=TRAINING)]
Warmup = Annotated[
    float | None, Option(min=0, help="Epochs of linear warm-up; default: a twentieth, 10 at most.", rich_help_panel=TRAINING)
]
Minutes = Annotated[
    float | None,
    Option(
        max=1e6,
        help="Minutes of pretraining, in place of --epochs: a few steps are timed here, and what you left open is set to what "
        "trains best in that time.",
        rich_help_panel=TRAINING,
    ),
    Above(0),
]
MaxSteps = Annotated[int | None, Option(min=1, help="Stop after so many steps, for a trial.", rich_help_panel=TRAINING)]
_LEAST = "Least part of the image's area in a crop"
BY = "; default: by the size of the images"
CropMin = Annotated[float, Option(min=0.01, max=1, help=f"{_LEAST}.", rich_help_panel=VIEWS)]
CropMinBySize = Annotated[float | None, Option(min=0.01, max=1, help=f"{_LEAST}{BY}.", rich_help_panel=VIEWS)]
Flip = Annotated[float, Option(min=0, max=1, help="Probability of a mirror image.", rich_help_panel=VIEWS)]
ViewSizes = Annotated[
    str, Option(help="Side of the views in pixels, or parts of training: 16:0.6,24:0.3,32:0.1.", rich_help_panel=VIEWS)
]
Jitter = Annotated[float, Option(min=0, max=1, help="Probability of colour jitter.", rich_help_panel=VIEWS)]
Brightness = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in brightness{BY}.", rich_help_panel=VIEWS)]
Contrast = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in contrast{BY}.", rich_help_panel=VIEWS)]
Saturation = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in saturation{BY}.", rich_help_panel=VIEWS)]
Hue = Annotated[float | None, Option(min=0, max=0.5, help=f"Strength of jitter in hue, in turns{BY}.", rich_help_panel=VIEWS)]
Grey = Annotated[float | None, Option(min=0, max=1, help=f"Probability of a grey view{BY}.", rich_help_panel=VIEWS)]
Blur = Annotated[float | None, Option(min=0, max=1, help=f"Probability of Gaussian blur{BY}.", rich_help_panel=VIEWS)]
Name = Annotated[str | None, Option(help="A name for the run, to refer to it by.", rich_help_panel=RUN), But("latest")]
Init = Annotated[
    str,
    Option(
        help="pretrained: the encoder of a pretrain run; scratch: a random one; or a file of others' weights.",
        rich_help_panel=MODEL,
    ),
]
EncoderRun = Annotated[
    str,
    Option(
        help="Pretrain run (id, name, prefix, latest) that gives the encoder, or for scratch the setting.",
        rich_help_panel=MODEL,
    ),
]
LabelFraction = Annotated[
    float,
    Option(max=1, help="Part of the labels that is used, above 0, by class, held-out ones included.", rich_help_panel=DATA),
    Above(0),
]
Taken = "; default: the pretrain run's."
StudyDataset = Annotated[
    str | None,
    Option(
        help=f"One of: {', '.join(DATASETS)}; or folder:PATH, your own pictures; default: the preset's.", rich_help_panel=DATA
    ),
    _DATASETS,
]
ParentsDataset = Annotated[str | None, Option(help="Data set" + Taken, rich_help_panel=DATA), _DATASETS]
ParentsFit = Annotated[Literal["crop", "pad"] | None, Option(help=_FIT + Taken, rich_help_panel=DATA)]
ParentsBackbone = Annotated[
    str | None, Option(help="For scratch: backbone" + Taken, rich_help_panel=MODEL), _names(BACKBONES, beginning=TIMM)
]
ParentsStem = Annotated[
    str | None,
    Option(help="For scratch: stem" + Taken, rich_help_panel=MODEL),
    _names(("auto",), *STEMS.values(), beginning=SIZED),
]
ParentsSeed = Annotated[
    int | None, Option(min=0, max=MAX_SEED, help="Of split, order and scratch weights" + Taken, rich_help_panel=TRAINING)
]
OwnImages = Annotated[
    list[str] | None, Option(help="Your own pictures, or folders of them with sub-folders: --images A.png FOLDER.")
]
MoreImages = Annotated[list[str] | None, Argument(hidden=True, help="More pictures, after --images.")]
StudyName = Annotated[str | None, Option(help="The study to show; default: the newest.")]
Format = Annotated[Literal["table", "json", "csv", "markdown"], Option(help="How to print.")]
RunArgument = Annotated[str, Argument(help="Run: id, name, unique prefix or latest.")]


INIT_WORDS = ("pretrained", "scratch")


def weights_path(init: str) -> Path | None:
    """The file that --init names; None if it is one of its words."""
    return None if init in INIT_WORDS else Path(init)


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command takes. `origins` says where each option's value came from."""

    config: Annotated[
        Path | None, Option(help="YAML file with options, as names and values.", rich_help_panel="Everywhere")
    ] = None
    project: Annotated[
        Path | None,
        Option(
            envvar="SSL_PROJECT",
            help="Project folder; default: the nearest with a registry.yaml.",
            rich_help_panel="Everywhere",
        ),
    ] = None
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.", rich_help_panel="Everywhere")] = False
    origins: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, hint in self.hints(vars(self)).items():
            _check(name, hint, getattr(self, name))

    @classmethod
    def hints(cls, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG003
        """The annotations that these values of the options are held to."""
        return _hints(cls)

    def default_of(self, name: str) -> Any:
        """The value that an option has where nobody says otherwise."""
        return type(self).__dataclass_fields__[name].default

    def left_open_by(self, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """The options that other `values` leave without one, as None: they have a default again."""
        return {}

    def because(self, origin: str, **values: Any) -> Self:
        """A copy with other values, and `origin` as the place where they came from."""
        changed = replace(self, **(self.left_open_by(values) | values))
        changed.origins.update({**self.origins, **dict.fromkeys(values, origin)})
        return changed

    def was_chosen(self, name: str) -> bool:
        """Whether an option has another value than its default, or was given."""
        return self.origins.get(name, "default") != "default" or getattr(self, name) != self.default_of(name)

    def at_most(self, name: str, most: int) -> Self:
        """The command, or where nobody chose the number `name` and it is more than there are, a copy with `most`."""
        if self.was_chosen(name) or getattr(self, name) <= most:
            return self
        return self.because(f"there are {most}", **{name: most})

    def options(self) -> dict[str, Any]:
        """Plain values of the command's own options, as a run records them. Paths become text."""
        own = [f.name for f in fields(self) if f.name not in NO_OPTION_OF_A_RUN]
        return {name: str(value) if isinstance(value := getattr(self, name), Path) else value for name in own}


def _hints(kind: type[Command]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind) if f.init}


def _check(name: str, hint: Any, value: Any) -> None:
    """Hold a value to its annotation: type, choices, bounds. A UsageError says what is accepted."""
    kind, *metadata = get_args(hint)
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return
        kind = next(member for member in get_args(kind) if member is not types.NoneType)
    option = "--" + name.replace("_", "-")
    if get_origin(kind) is Literal:
        metadata.append(OneOf(get_args(kind)))
        kind = str
    if get_origin(kind) is list:
        kind = list
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    fits = fits and (kind is not list or all(isinstance(item, str) for item in value))
    if not fits or (kind is float and not abs(value) <= sys.float_info.max):  # no infinity, and no NaN
        raise UsageError(f"{option} takes {_WORDS[kind]}, not {value!r}")
    if kind is str and not value.isprintable():
        raise UsageError(f"{option} {value!r}: accepted are printable characters")
    for item in metadata:
        if isinstance(item, OneOf) and not item.accepts(value):
            known = [*item.values, *(f"{begin}…" for begin in item.beginnings)]
            raise UsageError(f"{option} {value!r}: {_did_you_mean(value, item.values)}accepted: {', '.join(known)}")
        if isinstance(item, But) and value == item.word:
            raise UsageError(f"{option} {value}: accepted is any other word, for {value} means the newest run")
    if kind in (int, float):
        _check_range(option, kind, metadata, value)


def _check_range(option: str, kind: Any, metadata: list[Any], value: float) -> None:
    """Hold a number to the bounds of its annotation, both said where there are two."""
    low, high = next(((item.min, item.max) for item in metadata if isinstance(item, ParameterInfo)), (None, None))
    above = next((item.low for item in metadata if isinstance(item, Above)), None)
    if (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above):
        return
    words = [f"above {above} and"] * (above is not None) + [f"from {low}"] * (low is not None)
    words += [f"up to {high}" if low is None else f"to {high}"] * (high is not None)
    shown = value if kind is int else f"{value:g}"
    raise UsageError(f"{option} {shown}: accepted is {_WORDS[kind]} {' '.join(words)}")


def check_typed(kind: type[Command], name: str, text: str, beside: Mapping[str, Any]) -> None:
    """A UsageError if what was typed for an option, beside others, is none of its values."""
    hint = kind.hints(beside)[name]
    value: Any = text
    for number in (int, float):
        try:
            value = number(text)
            break
        except ValueError:
            continue
    kinds = (get_args(hint)[0], *get_args(get_args(hint)[0]))
    _check(name, hint, value if int in kinds or float in kinds else text)


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path", list: "a list of texts"}


def _did_you_mean(value: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, list(known), 1)
    return f"did you mean {close[0]!r}? " if close else ""


def from_mapping(kind: type[Command], values: Any, source: str) -> dict[str, Any]:
    """Turn what YAML gave into keyword arguments of `kind`, each checked; `source` names the place in messages."""
    if not isinstance(values, dict):
        raise UsageError(f"{source} must hold option names and values, not {type(values).__name__}: {str(values)[:60]!r}")
    hints, arguments = kind.hints(values), {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in hints or name == "config":
            known = [hint for hint in hints if hint not in NO_OPTION_OF_A_RUN]
            raise UsageError(f"{source}: no option {str(key)!r}; {_did_you_mean(name, known)}accepted: {', '.join(known)}")
        arguments[name] = _convert(f"{source}: {key}", hints[name], value)
        try:
            _check(name, hints[name], arguments[name])
        except UsageError as error:
            raise UsageError(f"{source}: {error}") from None
    return arguments


def _convert(place: str, hint: Any, value: Any) -> Any:
    """Paths come as text; so do numbers like 1e-3, which YAML reads as text: taken as the number, and said.

    A whole number for what may be a fraction becomes such a one, or 1 and 1.0 would be two settings.
    """
    kinds = (get_args(hint)[0], *get_args(get_args(hint)[0]))
    if Path in kinds and isinstance(value, str):
        return Path(value)
    if float in kinds and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if float in kinds and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        print(
            f"{place}: {value!r} is text in YAML (it wants 1.0e-3, not 1e-3); taken as the number {number:g}", file=sys.stderr
        )
        return number
    return value


def with_file(command: Command) -> Command:
    """Fill in what the --config file says and the command line does not. A file may have a section per command."""
    if command.config is None:
        return command
    if not command.config.is_file():
        raise UsageError(f"--config {command.config}: there is no such file")
    values = _own_section(load_yaml(command.config), type(command).__name__.lower(), command.config)
    arguments = from_mapping(type(command), values, str(command.config))
    given = {name for name, origin in command.origins.items() if origin == "command line"}
    return command.because(str(command.config), **{name: value for name, value in arguments.items() if name not in given})


def _own_section(values: Any, section: str, path: Path) -> Any:
    """What of a file is meant for a command: all of it, or its section where sections of commands are all there is."""
    if not isinstance(values, dict) or not values or not set(values) <= set(TRAININGS):
        return values
    if section not in values:
        hint = f"; as a study: ssl study --preset {path}" if section == "study" else ""
        raise UsageError(f"{path}: as --config of ssl {section} it has no section {section}, only {', '.join(values)}{hint}")
    own = values[section] or {}
    if isinstance(own, list):
        if len(own) != 1:
            raise UsageError(f"{path}: the section {section} has {len(own)} entries; as --config, accepted is one")
        own = own[0] or {}
    return own


OF_METHODS = tuple(dict.fromkeys(name for file in FILES.values() for name in file.options))
"""The options of ssl pretrain that belong to some methods alone."""


def method_hints(method: str) -> dict[str, Any]:
    """The annotations of a method's options as --help shows them: in a panel of their own."""
    return {name: _in_panel(option.hint) for name, option in options_of(method).items()}


def _in_panel(hint: Any, **changed: Any) -> Any:
    kind, *metadata = get_args(hint)
    shown = [copy.copy(item) for item in metadata]
    for item in shown:
        if isinstance(item, ParameterInfo):
            vars(item).update(changed | {"rich_help_panel": METHOD})
    return Annotated[kind, *shown]


def _of_any_method(name: str) -> Any:
    """The annotation of an option for whatever method has it: without a value, and without bounds, which are the method's."""
    kind, *metadata = get_args(_in_panel(FILES[methods_with(name)[0]].options[name].hint, min=None, max=None))
    return Annotated[(str if get_origin(kind) is Literal else kind) | None, *metadata]


def with_options_of_methods(kind: type[T]) -> type[T]:
    """Give a class the options of all methods, after --init. None stands for the method's default, if it has the option."""
    if taken := [name for name in OF_METHODS if name in kind.__annotations__ | Command.__annotations__]:
        raise TypeError(f"options of a method have names that all methods' options have: {', '.join(taken)}")
    annotations: dict[str, Any] = {}
    for name, hint in kind.__annotations__.items():
        annotations[name] = hint
        if name == "init":
            annotations |= {option: _of_any_method(option) for option in OF_METHODS}
    kind.__annotations__ = annotations
    for option in OF_METHODS:
        setattr(kind, option, None)
    return kind


@dataclass(frozen=True, kw_only=True)
@with_options_of_methods
class Pretrain(Command):
    """Train an encoder without labels.

    The encoder is shown augmented views of the training images, and learns what the method's loss asks for. For the options of
    a method type: ssl pretrain --method NAME --help. Writes a run with its checkpoints; next comes ssl probe.
    """

    method: Annotated[
        str, Option(help=f"One of: {', '.join(METHODS)}. Each has options of its own.", rich_help_panel=MODEL), _names(METHODS)
    ] = "simclr"
    backbone: Annotated[
        str,
        Option(help=f"One of: {', '.join(BACKBONES)}, or any model of timm: timm:NAME.", rich_help_panel=MODEL),
        _names(BACKBONES, beginning=TIMM),
    ] = "resnet18"
    stem: Annotated[
        str,
        Option(help="First layer, by backbone: auto, conv3, conv3-s2 (stride 2), conv7-pool, patchN.", rich_help_panel=MODEL),
        _names(("auto",), *STEMS.values(), beginning=SIZED),
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


def _with_own_options(kind: type[T]) -> type[T]:
    """The class of ssl probe's options with the protocols that there are, and the options of each, after `protocol`."""
    protocols = [protocol for protocol in PROTOCOLS.values() if protocol.command == "probe"]
    literal: Any = Literal
    help_text = "; ".join(f"{protocol.key}: {protocol.help}" for protocol in protocols)
    annotated: Any = Annotated
    chosen = literal[tuple(protocol.key for protocol in protocols)]
    hints = {"protocol": annotated[chosen, Option(help=f"{help_text}.", rich_help_panel=TRAINING)]}
    for name, keys in OF_PROTOCOL.items():
        options = PROTOCOLS[keys[0]].options
        kept, option = get_args(get_type_hints(options, include_extras=True)[name])
        option = copy.copy(option)
        option.help, option.rich_help_panel = f"Of {', '.join(keys)}: {option.help}", TRAINING
        hints[name] = annotated[kept, option]
        setattr(kind, name, getattr(options, name))
    kind.__annotations__ = hints | {name: hint for name, hint in kind.__annotations__.items() if name != "protocol"}
    return kind


@dataclass(frozen=True, kw_only=True)
@_with_own_options
class Probe(Command):
    """Linear evaluation: the encoder is frozen, a linear classifier is trained on its representation. Or kNN.

    Data set, backbone, stem and seed are the pretrain run's, for --init scratch too, so that the two make a pair. What
    there is to choose is chosen on a validation part of the training images; the test images are only scored.
    """

    protocol: str = usual().key
    init: Init = "pretrained"
    encoder: EncoderRun = "latest"
    at_epoch: Annotated[
        int | None,
        Option(
            min=1, help="Epoch of the pretrain run whose kept checkpoint is probed; default: its last.", rich_help_panel=MODEL
        ),
    ] = None
    dataset: ParentsDataset = None
    labels: Labels = None
    image_size: ImageSize = None
    fit: ParentsFit = None
    data_dir: DataDir = None
    download: Download = False
    label_fraction: LabelFraction = 1.0
    backbone: ParentsBackbone = None
    stem: ParentsStem = None
    seed: ParentsSeed = None
    device: Device = "auto"
    precision: Precision = "auto"
    deterministic: Deterministic = False
    name: Name = None

    def foreign(self) -> dict[str, tuple[str, ...]]:
        """The options whose values would change nothing with this protocol, and the protocols that they belong to."""
        return {
            name: of for name, of in OF_PROTOCOL.items() if self.protocol not in of and getattr(self, name) != DEFAULTS[name]
        }


DEFAULTS = {f.name: f.default for f in fields(Probe)}


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


TRAININGS: dict[str, type[Pretrain] | type[Probe] | type[Finetune]] = {
    "pretrain": Pretrain,
    "probe": Probe,
    "finetune": Finetune,
}
"""The commands that train, and so make runs."""


@dataclass(frozen=True, kw_only=True)
class Bench(Command):
    """What would this cost here? Times a few steps of ssl pretrain (or probe, finetune) and says how long the command takes.

    Takes every option of that command: ssl bench finetune --batch-size 256. An option given twice compares side by side: ssl
    bench --precision bf16 --precision fp32; several such are paired in order. Nothing is written. Random images
    stand in for a named data set that is missing. The share of the peak counts the step's matrix products and convolutions,
    against the product of two large matrices in the same precision. Times of presets are without their pictures.
    """

    words: Annotated[
        list[str] | None,
        Argument(
            metavar="[pretrain|probe|finetune] [OPTIONS]", help="The command to time, and its options: ssl pretrain --help."
        ),
    ] = None
    presets: Annotated[
        bool | None, Option("--presets/--no-presets", help="The time of each preset too; default: unless two are compared.")
    ] = None
    format: Format = "table"
    config: Path | None = field(init=False, default=None)  # as the next, an option of the command that is timed
    project: Path | None = field(init=False, default=None)
    trainings: list[Any] = field(init=False, default_factory=list)  # filled in: what the words mean, built and checked
    typed: list[str] = field(init=False, default_factory=list)  # filled in: the command line of each


def side_by_side(words: list[str], flags: Iterable[str]) -> list[list[str]]:
    """The words of a command line with options given several times as so many command lines; `flags` take no value.

    An option given once is in all of them; those given several times are paired in order, and a UsageError if their
    numbers differ.
    """
    given: list[list[str]] = []
    for word in words:
        follows = given and len(given[-1]) == 1 and "=" not in given[-1][0] and given[-1][0] not in flags
        if word.startswith("--") or not follows:
            given.append([word])
        else:
            given[-1].append(word)
    names = [words[0].partition("=")[0] for words in given]
    counts = {name: names.count(name) for name in names if names.count(name) > 1 and name not in flags}
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{name} {count} times" for name, count in counts.items())
        raise UsageError(f"{said}: accepted are options given once, or each of them equally often, to be paired in order")
    lines: list[list[str]] = [[] for _ in range(max(counts.values(), default=1))]
    for place, (name, option) in enumerate(zip(names, given, strict=True)):
        for number, line in enumerate(lines):
            if name not in counts or names[:place].count(name) == number:
                line.extend(option)
    return lines


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Show pretrained beside scratch, the difference of each pair, and the answer in a sentence."""

    study: StudyName = None
    all: Annotated[bool, Option("--all", help="Every evaluation, of earlier epochs too, here or in --study.")] = False
    without_duplicates: Annotated[
        bool, Option("--without-duplicates", help="Leave out the test images that ssl data check found elsewhere too.")
    ] = False
    format: Format = "table"


@dataclass(frozen=True, kw_only=True)
class Plots(Command):
    """Draw the curves of TensorBoard's event files, pretrained and scratch in one picture; or check a page's images.

    Figures go to results/figures/<experiment>/, under lower-case names.
    """

    study: StudyName = None
    logdir: Annotated[Path | None, Option(help="Draw the event files below this folder, whoever wrote them.")] = None
    out: Annotated[Path | None, Option(help="Folder for the figures; default: results/figures in the project.")] = None
    check: Annotated[
        Path | None, Option(help="Draw nothing; name the local images of this Markdown file that are not there, case included.")
    ] = None
    fix: Annotated[bool, Option("--fix", help="With --check: rewrite the links to which there is exactly one answer.")] = False


@dataclass(frozen=True, kw_only=True)
class Predict(Command):
    """Draw a grid of test images with true class, predicted class and confidence: for each newest evaluation the same ones.

    With --images it classifies pictures of your own.
    """

    run: Annotated[str | None, Option(help="Only this evaluation: id, name, unique prefix or latest.")] = None
    study: StudyName = None
    n: Annotated[int, Option("--n", min=1, max=400, help="How many test images.")] = 16
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the test images.")] = 1
    images: OwnImages = None
    more: MoreImages = None
    encoder_seed: Annotated[
        int | None,
        Option(
            min=0, max=MAX_SEED, help="On purpose wrong: put the scratch classifier on another random encoder, of this seed."
        ),
    ] = None
    out: Annotated[
        Path | None, Option(help="The picture to write, with --run or --images; default: in results/predictions.")
    ] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Map(Command):
    """Draw the representations of pretrained and scratch beside each other: as a map, and as nearest training images.

    Of the study's newest pair of linear evaluations, into results/figures/linear_eval/map.png and neighbours.png.
    """

    study: StudyName = None
    n: Annotated[
        int, Option("--n", min=10, max=10_000, help="How many test images, or all: on the map, and to average over.")
    ] = 2000
    queries: Annotated[int, Option(min=1, max=40, help="Test images whose nearest training images are shown.")] = 8
    neighbours: Annotated[int, Option(min=1, max=12, help="Nearest training images of each.")] = 5
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the images, and starts the map.")] = 1
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Embed(Command):
    """Write the representations h of images, a data set's or your own: for numpy, and for TensorBoard's projector.

    Into results/embeddings/<run>/<test, train or images>: h.npy (float32, a row an image), images.csv (path and label of
    each), and what tensorboard --logdir shows under Projector, each image as a small picture.
    """

    run: Annotated[
        str | None, Option(help="Whose encoder: id, name or prefix of a finished run; default: the newest pretrain run.")
    ] = None
    part: Annotated[Literal["test", "train"], Option(help="Which images of the run's data set.")] = "test"
    images: OwnImages = None
    more: MoreImages = None
    out: Annotated[Path | None, Option(help="Folder to write; default: in results/embeddings.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Neighbours(Command):
    """Draw pictures of your own beside the training pictures that an encoder finds nearest, with their similarities.

    Into results/predictions/neighbours.png. Similarity is the cosine of the representations h.
    """

    images: Annotated[list[str] | None, Argument(help="Your own pictures, or folders of them with sub-folders.")] = None
    run: Annotated[
        str | None, Option(help="Whose encoder: id, name or prefix of a finished run; default: the newest pretrain run.")
    ] = None
    k: Annotated[int, Option("--k", min=1, max=12, help="Nearest training images of each.")] = 6
    among: Annotated[int | None, Option(min=1, help="Look among so many training images, drawn by --seed; default: all.")] = (
        None
    )
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the training images of --among.")] = 1
    out: Annotated[Path | None, Option(help="The picture to write; default: results/predictions/neighbours.png.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Views(Command):
    """Draw some training images beside augmented views of them, as the encoder gets them.

    The first thing to look at when pretraining does not work. Takes the options of ssl pretrain that make views.
    """

    run: Annotated[str | None, Option(help="Take data, sizes and augmentation from this pretrain run.")] = None
    n: Annotated[int, Option("--n", min=1, max=100, help="How many images.")] = 8
    views: Annotated[int, Option(min=1, max=40, help="How many views of each, at every size.")] = 4
    out: Annotated[Path | None, Option(help="The picture to write; default: results/figures/pretrain/views.png.")] = None
    dataset: Dataset = Pretrain.dataset
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = Pretrain.fit
    data_dir: DataDir = None
    download: Download = False
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses images and views.")] = 1
    view_sizes: ViewSizes = Pretrain.view_sizes
    crop_min: CropMinBySize = Pretrain.crop_min
    flip: Flip = Pretrain.flip
    jitter: Jitter = Pretrain.jitter
    brightness: Brightness = Pretrain.brightness
    contrast: Contrast = Pretrain.contrast
    saturation: Saturation = Pretrain.saturation
    hue: Hue = Pretrain.hue
    grey: Grey = Pretrain.grey
    blur: Blur = Pretrain.blur


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Write a study as one HTML page to hand in: the answer, the tables, the pictures, where each number comes from.

    The page needs no network and no other file. It holds the pictures that were drawn already, and names the others.
    """

    study: StudyName = None
    title: Annotated[str | None, Option(help="The page's title; default: the question.")] = None
    out: Annotated[Path | None, Option(help="The page to write; default: results/<study>.html in the project.")] = None


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Write the encoder of a run as others use it: weights, preprocessing, and a model card with the lines that load them.

    What it writes is used without this program. It is compared with the encoder on test images before it is called done.
    """

    run: Annotated[
        str,
        Argument(help="Finished run: id, name, unique prefix; latest: the newest pretrain run."),
    ] = "latest"
    format: Annotated[
        Literal["safetensors", "torchvision", "timm", "onnx"],
        Option(help="safetensors, onnx: every backbone; torchvision, timm: those that they have, too."),
    ] = "safetensors"
    out: Annotated[Path | None, Option(help="Folder to write; default: results/export/<run>-<format> in the project.")] = None
    data_dir: DataDir = None


@dataclass(frozen=True, kw_only=True)
class Study(Command):
    """The whole study: pretrain, linear evaluation and fine-tuning, each pretrained and scratch, pictures, comparison.

    Started again it goes on where it stopped and repeats nothing that is finished.
    """

    preset: Annotated[
        str | None,
        Option(help="demo, cifar10-cpu, cifar10, or a YAML file like theirs; default: demo, or by --minutes."),
    ] = None
    dataset: StudyDataset = None
    labels: Labels = None
    minutes: Minutes = None
    name: Annotated[str | None, Option(help="The study's name; default: the preset's or the data set's.")] = None
    set: Annotated[
        list[str] | None, Option(help="Change an option: COMMAND.OPTION=VALUE, e.g. pretrain.epochs=2. Can be given again.")
    ] = None
    seed: Annotated[int | None, Option(min=0, max=MAX_SEED, help="Seed of everything; default: the preset's.")] = None
    seeds: Annotated[int, Option(min=1, max=100, help="How many seeds, counted up from --seed: the whole study for each.")] = 1
    label_fractions: Annotated[
        str | None,
        Option(help="Parts of the labels for every evaluation, e.g. 0.01,0.1,1; default: the preset's."),
    ] = None
    max_steps: Annotated[int | None, Option(min=1, help="At most so many steps of each training, for a trial.")] = None
    data_dir: DataDir = None
    download: Download = False
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Resume(Command):
    """Go on with an interrupted run, of any kind, from its last checkpoint."""

    run: Annotated[str | None, Argument(help="Run: id, name, unique prefix; default: the newest interrupted one.")] = None
    data_dir: DataDir = None
    device: Annotated[
        Literal["auto", "cuda", "mps", "cpu"] | None, Option(help="Default: the run's.", rich_help_panel=MACHINE)
    ] = None
    force: Annotated[bool, Option("--force", help="Even if another machine was running it: it must be dead there.")] = False


@dataclass(frozen=True, kw_only=True)
class RunsList(Command):
    """Show the runs, oldest first."""

    experiment: Annotated[Literal["pretrain", "linear_eval", "knn", "finetune"] | None, Option(help="Only these.")] = None
    format: Format = "table"


@dataclass(frozen=True, kw_only=True)
class RunsShow(Command):
    """Show all that is known of a run."""

    run: RunArgument = "latest"
    format: Format = "table"


@dataclass(frozen=True, kw_only=True)
class RunsNote(Command):
    """Write a note on a run; without text, remove it."""

    run: RunArgument
    text: Annotated[str, Argument(help="The note.")] = ""


@dataclass(frozen=True, kw_only=True)
class RunsVerify(Command):
    """Check that every run is as recorded; exit code 3 if one is not.

    Compares each checkpoint with its recorded sha256, registry.yaml with run.yaml, and the fields of each record with each
    other. --numbers compares the records with what the checkpoints and test logits say, too.
    """

    numbers: Annotated[
        bool,
        Option("--numbers", help="Check every field against the checkpoint's own copy, every figure against the test logits."),
    ] = False
    from_checkpoint: Annotated[
        bool, Option("--from-checkpoint", help="And the test logits again from weights and data, which takes longer.")
    ] = False
    fields: Annotated[bool, Option("--fields", help="Check nothing; list what proves each field of a record.")] = False
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class RunsRebuild(Command):
    """Make registry.yaml anew from the records under runs/."""


@dataclass(frozen=True, kw_only=True)
class RunsRm(Command):
    """Delete a run: its folder and its line in the registry."""

    run: RunArgument
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False
    cascade: Annotated[bool, Option("--cascade", help="Its descendants too.")] = False


@dataclass(frozen=True, kw_only=True)
class DataCheck(Command):
    """Find duplicates in a data set, across training and test too; constant images, labels that disagree, class balance.

    Writes results/data/<dataset>.json, which ssl compare --without-duplicates reads, and a picture of pairs.
    """

    dataset: Dataset = "cifar10"
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = "crop"
    data_dir: DataDir = None
    download: Download = False
    threshold: Annotated[
        float | None,
        Option(min=0.5, max=1, help="Least similarity of near duplicates; default: 0.8, chosen by eye on CIFAR-10."),
    ] = None
    format: Format = "table"
