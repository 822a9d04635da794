"""The classifiers that a card compares: the run that was named, its partners from another init, and its fine-tuned siblings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sslcli.comparison.arms import keys_of, names_of, others_of
from sslcli.data.on_disk import Images
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.protocols import PROTOCOLS, evaluations, protocol_named, usual
from sslcli.evaluation.quality import Floats
from sslcli.models.classifier import Classifier
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.next_step import record_or_index
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
    """A finished evaluation: its classifier, the side of its images in pixels, and `see`, a network's outputs for images.

    `encoder` is the word for its encoder: pretrained, scratch, or the name of one from elsewhere.
    """

    record: Run
    encoder: str
    classifier: Classifier
    side: int
    see: Callable[[nn.Module, Images], Tensor]

    @property
    def protocol(self) -> str:
        """The key of its protocol."""
        return protocol_named(self.record.protocol, self.record.experiment).key

    @property
    def name(self) -> str:
        """Its encoder and protocol, as in a heading."""
        return f"{self.encoder}, {self.protocol}"

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
    return [
        _arm(registry, run, word, device)
        for group in groups(registry, main_run(registry, selector))
        for run, word in zip(group, _encoders(group), strict=True)
    ]


def _arm(registry: Registry, run: Run, encoder: str, device: torch.device) -> Arm:
    record = registry.load(run)
    classifier, artifact = load_classifier(registry, record)
    return Arm(record, encoder, classifier, int(artifact["image_size"]), outputs_as_in(record, artifact, device))


def _encoders(group: list[Run]) -> list[str]:
    """The words for the encoders of a group: those from elsewhere have the names of `ssl compare`."""
    named = names_of([{run.seed: run} for run in group])
    return [name if others_of([run]) else str(run.init) for run, name in zip(group, named, strict=True)]


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
    """For each protocol the newest evaluation of the same encoder, data, labels and seed, with its partners of another init."""
    runs = _finished(registry)
    origin = main.parent or next((run.parent for run in runs if main.pair and run.pair == main.pair and run.parent), None)
    own = protocol_named(main.protocol, main.experiment).key
    sibling = (*_setting(main), main.at_epoch)
    keys = dict.fromkeys([own, usual().key, *(key for key, protocol in PROTOCOLS.items() if not protocol.frozen)])
    found = []
    for key in keys:
        alike = [
            run for run in runs
            if run.protocol == key and run.parent == origin and origin and (*_setting(run), run.at_epoch) == sibling
            and _sha256_of_data(registry, run) == _sha256_of_data(registry, main)
        ]  # fmt: skip
        if key == own:
            alike = [main]
        if alike:
            found.append(_partners(registry, runs, alike[0]))
    return found


def _partners(registry: Registry, runs: list[Run], anchor: Run) -> list[Run]:
    """A run and the newest of each other init whose options are otherwise the same: pretrained, from elsewhere, scratch.

    An encoder from elsewhere may have another network. Pretrained and scratch have one network, here that of the anchor or,
    if this is from elsewhere and has no such partner, that of the newest own one.
    """
    alike = [
        run for run in runs
        if run.protocol == anchor.protocol and _setting(run) == _setting(anchor)
        and (run.at_epoch == anchor.at_epoch or not run.parent)
    ]  # fmt: skip
    keys = keys_of(registry, alike)
    beside = [run for run in alike if anchor.id in keys and keys.get(run.id) == keys[anchor.id]]
    own = [run for run in alike if anchor.pair and run.pair == anchor.pair]
    if others_of([anchor]) and all(others_of([run]) for run in own):
        newest = next((run for run in beside if not others_of([run])), anchor)
        own = [run for run in alike if newest.pair and run.pair == newest.pair]
    of_init = {str(run.init): run for run in reversed([run for run in beside if others_of([run])] + own)}
    of_init[str(anchor.init)] = anchor
    order = [INIT_WORDS[0], *(init for init in of_init if init not in INIT_WORDS), INIT_WORDS[1]]
    return [of_init[init] for init in order if init in of_init]


def _setting(run: Run) -> tuple[object, ...]:
    return run.dataset, run.label_fraction, run.seed


def _sha256_of_data(registry: Registry, run: Run) -> object:
    return record_or_index(registry, run).data.get("sha256")


def _finished(registry: Registry) -> list[Run]:
    """The finished evaluations made here that can classify any picture, the newest first."""
    return [
        run for run in reversed(registry.runs())
        if run.status == "finished" and run.experiment in evaluations()
        and protocol_named(run.protocol, run.experiment).classifies
    ]  # fmt: skip
