"""Logistic regression, solved to rest, on what the frozen encoder made of each image once."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import Protocol

PROTOCOL = Protocol(
    key="logistic",
    name="logistic regression",
    help="scikit-learn's logistic regression",
    meaning="A logistic regression, solved to rest, on the representation of the frozen encoder.",
    limits="It cannot say how good the encoder would be after fine-tuning.",
)
