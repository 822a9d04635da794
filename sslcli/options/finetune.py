"""The options of ssl finetune."""

from __future__ import annotations

from dataclasses import dataclass

from sslcli.evaluation.protocols import made_by
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
from sslcli.options.of_protocols import with_options_of_protocols


@dataclass(frozen=True, kw_only=True)
@with_options_of_protocols("finetune")
class Finetune(Command):
    """Train encoder and classifier end to end, from a pretrained or a random encoder.

    Data set, backbone, stem and seed are those of the pretrain run, with --init scratch too, so that the two make a pair.
    A validation part of the training images chooses the epoch; the test images are only scored.
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
    seed: ParentsSeed = None
    device: Device = "auto"
    precision: Precision = "auto"
    deterministic: Deterministic = False
    name: Name = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.by_protocol.own(vars(self))  # raises if two of its options exclude each other

    @property
    def by_protocol(self) -> AnyProtocol:
        """The protocol of the evaluation."""
        return made_by("finetune", None)
