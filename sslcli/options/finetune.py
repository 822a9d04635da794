"""The options of ssl finetune."""

from __future__ import annotations

from dataclasses import dataclass

from sslcli.evaluation.protocols import made_by
from sslcli.evaluation.protocols.protocol import AnyProtocol
from sslcli.options.evaluation import Evaluation, with_options_of_protocols


@dataclass(frozen=True, kw_only=True)
@with_options_of_protocols("finetune")
class Finetune(Evaluation):
    """Train encoder and classifier end to end, from a pretrained or a random encoder.

    Data set, backbone, stem and seed are those of the pretrain run, with --init scratch too, so that the two make a pair.
    A validation part of the training images chooses the epoch; the test images are only scored.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.by_protocol.own(vars(self))  # raises if two of its options exclude each other

    @property
    def by_protocol(self) -> AnyProtocol:
        """The protocol of the evaluation."""
        return made_by("finetune", None)
