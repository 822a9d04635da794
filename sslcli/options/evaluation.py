"""The options that ssl probe and ssl finetune share, and those of each protocol, with its defaults and help."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from typer import Option
from typer.models import ParameterInfo

from sslcli.evaluation.protocols import PROTOCOLS, own_options
from sslcli.evaluation.protocols.protocol import AnyProtocol
from sslcli.options.annotations import (
    DataDir,
    Deterministic,
    Device,
    Download,
    EncoderRun,
    ImageSize,
    Init,
    LabelFraction,
    Labels,
    Name,
    ParentsBackbone,
    ParentsDataset,
    ParentsFit,
    ParentsSeed,
    ParentsStem,
    Precision,
)
from sslcli.options.command import Command
from sslcli.training.recipe import TRAINING

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Evaluation(Command):
    """Measure an encoder: the options of every command that does."""

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
    seed: ParentsSeed = None
    device: Device = "auto"
    precision: Precision = "auto"
    deterministic: Deterministic = False
    name: Name = None

    @property
    def by_protocol(self) -> AnyProtocol:
        """The protocol of the evaluation."""
        raise NotImplementedError


def with_options_of_protocols(command: str) -> Callable[[type[T]], type[T]]:
    """Add the options of a command's protocols to a class, before its own.

    If the class has the option `protocol`, its values are their keys, and help names the protocols of each option.
    """

    def give(kind: type[T]) -> type[T]:
        chosen = "protocol" in kind.__annotations__
        hints: dict[str, object] = {"protocol": _choice(command)} if chosen else {}
        for name, keys in own_options(command).items():
            options = PROTOCOLS[keys[0]].options
            hint = get_type_hints(options, include_extras=True)[name]
            hints[name] = _in_panel(hint, whose=f" ({', '.join(keys)})" if chosen else "")
            setattr(kind, name, getattr(options, name))
        kind.__annotations__ = hints | {name: hint for name, hint in kind.__annotations__.items() if name not in hints}
        return kind

    return give


def _choice(command: str) -> object:
    """The annotation of the option that chooses a protocol of a command."""
    protocols = [protocol for protocol in PROTOCOLS.values() if protocol.command == command]
    literal: Any = Literal
    help_text = "; ".join(f"{protocol.key}: {protocol.help}" for protocol in protocols)
    return Annotated[
        literal[tuple(protocol.key for protocol in protocols)], Option(help=f"{help_text}.", rich_help_panel=TRAINING)
    ]


def _in_panel(hint: object, *, whose: str) -> object:
    """An annotation as --help shows it: `whose` at the end of its first sentence, in the panel of training by default."""
    kind, *metadata = get_args(hint)
    shown = [copy.copy(item) for item in metadata]
    for item in shown:
        if isinstance(item, ParameterInfo):
            item.help = re.sub(r"\.(?= |$)", f"{whose}.", item.help or "", count=1)
            item.rich_help_panel = item.rich_help_panel or TRAINING
    return Annotated[kind, *shown]
