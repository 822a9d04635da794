"""Linear evaluation: a linear layer, trained by SGD on what the frozen encoder made of each image once."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import Protocol

PROTOCOL = Protocol(
    key="linear",
    name="linear evaluation",
    help="SGD on representations made once",
    meaning="The encoder is frozen; one linear layer is trained on its representation. It shows what the encoder had learned "
    "before it saw a label.",
    limits="It cannot say how good the encoder would be after fine-tuning.",
    by_steps=True,
)
