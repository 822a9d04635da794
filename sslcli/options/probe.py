"""The options of ssl probe, including those of each protocol."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from typer import Option

from sslcli.evaluation.protocols import PROTOCOLS, own_options, usual
from sslcli.evaluation.protocols.protocol import AnyProtocol
from sslcli.options.annotations import MODEL, Folds
from sslcli.options.evaluation import Evaluation, with_options_of_protocols

OF_PROTOCOL = own_options("probe")
"""The options of ssl probe that only some protocols have, and the keys of these."""


@dataclass(frozen=True, kw_only=True)
@with_options_of_protocols("probe")
class Probe(Evaluation):
    """Measure a frozen encoder: train a linear classifier on its representation, or use kNN.

    Data set, backbone, stem and seed are those of the pretrain run, with --init scratch too, so that the two make a pair.
    A validation part of the training images makes every choice; the test images are only scored.
    """

    protocol: str = usual().key
    folds: Folds = None
    at_epoch: Annotated[
        int | None,
        Option(
            min=1, help="Probe the checkpoint that pretraining kept after this epoch. Default: the last.", rich_help_panel=MODEL
        ),
    ] = None

    @property
    def by_protocol(self) -> AnyProtocol:
        """The protocol of the evaluation."""
        return PROTOCOLS[self.protocol]

    def foreign(self) -> dict[str, tuple[str, ...]]:
        """The options that were set but have no effect with this protocol, and the protocols that they belong to."""
        return {
            name: of for name, of in OF_PROTOCOL.items() if self.protocol not in of and getattr(self, name) != DEFAULTS[name]
        }


DEFAULTS = {f.name: f.default for f in fields(Probe)}
