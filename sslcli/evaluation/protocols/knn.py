"""k nearest neighbours: the labelled training images vote, and nothing is trained."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import Protocol

PROTOCOL = Protocol(
    key="knn",
    name="kNN",
    help="nearest neighbours, nothing trained",
    meaning="The nearest training images in the representation vote; nothing is trained.",
    limits="Votes are no probabilities.",
    experiment="knn",
    classifies=False,
    probabilities=False,
)
