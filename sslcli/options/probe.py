"""The options of ssl probe, those of each protocol among them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

from typer import Option

from sslcli.evaluation.protocols import PROTOCOLS, own_options, usual
from sslcli.options.annotations import (
    MODEL,
    TRAINING,
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
from sslcli.options.of_methods import T

OF_PROTOCOL = own_options("probe")
"""The options of ssl probe that belong to some protocols alone, and the keys of these."""


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
