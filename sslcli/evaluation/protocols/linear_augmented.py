"""Linear evaluation on augmented images: the frozen encoder sees another crop of each training image every epoch."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import Protocol

PROTOCOL = Protocol(
    key="linear-augmented",
    name="linear evaluation on augmented images",
    help="on those of augmented images",
    meaning="As linear evaluation, with representations of augmented training images.",
    limits="Augmentation helps in its own way, so compare it with no protocol that lacks it.",
    by_steps=True,
)
