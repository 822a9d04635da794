"""The classifiers that a card compares: the run that was named, its partners from another init, and its fine-tuned siblings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sslcli.data.on_disk import Images
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.protocols import PROTOCOLS, evaluations, protocol_named, usual
from sslcli.evaluation.quality import Floats
from sslcli.models.classifier import Classifier
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """For each of n images: whether the predicted class is the true one, and the prediction's confidence in [0, 1]."""

    right: Booleans
    confidence: Floats


@dataclass(frozen=True)
class Arm:
    """A finished evaluation: its classifier, the side of its images in pixels, and `see`, a network's outputs for images."""

    record: Run
    classifier: Classifier
    side: int
    see: Callable[[nn.Module, Images], Tensor]

    @property
    def protocol(self) -> str:
        """The key of its protocol."""
        return protocol_named(self.record.protocol, self.record.experiment).key

    @property
    def name(self) -> str:
        """Its init and protocol, as in a heading."""
        return f"{self.record.init}, {self.protocol}"

    def h(self, images: Images) -> Tensor:
        """The representations (n, d) of images, on the CPU."""
        return self.see(self.classifier.encoder, images)

    @torch.no_grad()
    def logits(self, h: Tensor) -> Tensor:
        """The logits (n, classes) for representations."""
        logits: Tensor = self.classifier.head.cpu()(h)
        return logits

    def answers(self, images: Images, labels: Tensor) -> Answers:
        """Its answers to images with these labels (n,)."""
        confidence, predicted = self.logits(self.h(images)).double().softmax(1).max(1)
        return Answers((predicted == labels.cpu()).numpy(), confidence.numpy())


def arms_of(registry: Registry, selector: str, device: torch.device) -> list[Arm]:
    """The classifiers beside each other, the one that was named among them: by protocol, pretrained first, scratch last."""
    chosen = [run for group in groups(registry, main_run(registry, selector)) for run in group]
    return [_arm(registry, run, device) for run in chosen]


def _arm(registry: Registry, run: Run, device: torch.device) -> Arm:
    record = registry.load(run)
    classifier, artifact = load_classifier(registry, record)
    return Arm(record, classifier, int(artifact["image_size"]), outputs_as_in(record, artifact, device))


def main_run(registry: Registry, selector: str) -> Run:
    """The evaluation that is named, or the newest linear evaluation of the named pretrain run.

    A StateError if the pretrain run has none, a UsageError for an evaluation that cannot classify other pictures.
    """
    found = registry.find(selector, experiment="pretrain" if selector == "latest" else None, status="finished")
    if found.experiment in evaluations():
        if not protocol_named(found.protocol, found.experiment).classifies:
            accepted = ", ".join(key for key, protocol in PROTOCOLS.items() if protocol.classifies)
            raise UsageError(f"{found.id} classifies no other pictures; accepted are a pretrain run, and runs of: {accepted}")
        return found
    probes = [run for run in _finished(registry) if run.protocol == usual().key and run.parent == found.id]
    if not probes:
        advice = registry.command(f"ssl probe --encoder {found.id}")
        raise StateError(
            f"{found.id} has no finished {usual().name}, and a card needs a classifier; to make it, type: {advice}"
        )
    return max(probes, key=lambda run: run.label_fraction or 1)


def groups(registry: Registry, main: Run) -> list[list[Run]]:
    """For each protocol the newest evaluation of the same encoder, labels and seed, and its partners from another init."""
    runs = _finished(registry)
    origin = main.parent or next((run.parent for run in runs if main.pair and run.pair == main.pair and run.parent), None)
    own = protocol_named(main.protocol, main.experiment).key
    keys = dict.fromkeys([own, usual().key, *(key for key, protocol in PROTOCOLS.items() if not protocol.frozen)])
    found = []
    for key in keys:
        alike = [
            run for run in runs
            if run.protocol == key and run.parent == origin and origin and _setting(run) == _setting(main)
        ]  # fmt: skip
        if key == own:
            alike = [main]
        if alike:
            found.append(_partners(runs, alike[0]))
    return found


def _partners(runs: list[Run], anchor: Run) -> list[Run]:
    """A run and the newest of each other init whose options are otherwise the same: pretrained, others' weights, scratch."""
    of_init = {str(run.init): run for run in reversed(runs) if anchor.pair and run.pair == anchor.pair}
    of_init[str(anchor.init)] = anchor
    order = [INIT_WORDS[0], *(init for init in of_init if init not in INIT_WORDS), INIT_WORDS[1]]
    return [of_init[init] for init in order if init in of_init]


def _setting(run: Run) -> tuple[object, ...]:
    return run.dataset, run.label_fraction, run.seed, run.at_epoch


def _finished(registry: Registry) -> list[Run]:
    """The finished evaluations made here that can classify any picture, the newest first."""
    return [
        run for run in reversed(registry.runs())
        if run.status == "finished" and run.experiment in evaluations()
        and protocol_named(run.protocol, run.experiment).classifies
    ]  # fmt: skip
