"""An encoder on other data: a linear probe of it there, and whether it tells those pictures from its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.cards.arms import Answers, Arm, Booleans
from sslcli.cards.sturdiness import Gap, against_scratch, gap
from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.data import DATASETS, FOLDER
from sslcli.data.batches import generator
from sslcli.data.folder.reading import Reading
from sslcli.data.image_data import ImageData, enough_labels, in_parts
from sslcli.data.loading import load_data
from sslcli.data.on_disk import Images, chosen
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.outliers import auroc, auroc_difference, knn_distance
from sslcli.evaluation.protocols import usual
from sslcli.evaluation.protocols.protocol import Frozen, Search, Start, Steps
from sslcli.evaluation.quality import Floats
from sslcli.evaluation.statistics import Difference, paired
from sslcli.plans.data_access import normalised_as
from sslcli.training.context import Context
from sslcli.training.device import autocast, precision_here, usable_cores
from sslcli.training.lifecycle import Stop
from sslcli.training.loop import Metrics, Progress
from sslcli.training.step import Training
from sslcli.workflows.rates import best_rate, trained, trial_of
from sslcli.workflows.representations import represent

BANK = 10_000  # own training images that a distance is measured from
SCORES = {"kNN distance": 0, "low confidence": 1}
"""What an image unlike the own ones is told by, and its place in a Seen."""
Seen = tuple[Floats, ...]
"""An image set's scores by a classifier, each (n,), as in SCORES; higher is less like the own images."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A number of a classifier or its encoder on another data set: an accuracy, or an AUROC, in [0, 1]."""

    what: str
    dataset: str
    arm: str
    value: float


Numbers = tuple[list[Elsewhere], list[Gap]]


def others(names: Sequence[str] | None, own: str, data_dir: Path, *, side: int) -> list[tuple[str, Callable[[], ImageData]]]:
    """The other data sets, to be loaded one by one, as pictures of `side` pixels: those named, or all that are at hand."""
    return [(name, lambda name=name: _load(name, data_dir, side=side)) for name in names or DATASETS if name != own]  # type: ignore[misc]


def _load(name: str, data_dir: Path, *, side: int) -> ImageData:
    reading = None
    if name.startswith(FOLDER):
        reading = Reading(image_size=side, workers=usable_cores(), progress=ShareDone("decoding pictures"), say=say)
    data = load_data(name, data_dir, reading=reading)
    enough_labels(data, 1.0, dataset=name)
    known = torch.arange(len(data.train_labels))[data.train_labels >= 0]
    return replace(
        data, train_images=at_side(chosen(data.train_images, known), side), train_labels=data.train_labels[known],
        test_images=at_side(data.test_images, side), given_val=None if data.given_val is None else _places(data, known),
        size=side, moments=None, content=name, manifest=(),
    )  # fmt: skip


def _places(data: ImageData, known: Tensor) -> Tensor:
    """The validation images' places among the images that have a label."""
    return torch.isin(known, data.given_val if data.given_val is not None else known[:0]).nonzero().flatten()


def at_side(images: Images, side: int) -> Tensor:
    """The central squares of images (N, 3, H, W) uint8, resized with antialiasing (bicubic) to `side` pixels."""
    made = []
    for some in in_parts(images, 2000):
        least = min(some.shape[-2:])
        top, left = ((length - least) // 2 for length in some.shape[-2:])
        square = some[..., top : top + least, left : left + least]
        if least != side:
            square = F.interpolate(square.float(), size=(side, side), mode="bicubic", antialias=True)
        made.append(square.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(made) if made else torch.zeros(0, 3, side, side, dtype=torch.uint8)


def seen(arm: Arm, images: Images, bank: Tensor) -> Seen:
    """The scores of images, with the representations of own training images as the bank."""
    h = arm.h(images)
    confidence = arm.logits(h).double().softmax(1).amax(1)
    return knn_distance(bank, h).double().numpy(), 1 - confidence.numpy()


def bank_of(arm: Arm, data: ImageData, *, seed: int) -> Tensor:
    """The representations of at most BANK own training images, drawn by the seed; no label is used."""
    drawn = torch.randperm(len(data.train_images), generator=generator(seed, "bank"))[:BANK]
    return arm.h(chosen(data.train_images, drawn))


def outliers(arms: Sequence[Arm], banks: Sequence[Tensor], own: Sequence[Seen], images: Images, name: str) -> Numbers:
    """The AUROC of each score and classifier for the images of another data set against own test images, and the gaps."""
    there = [seen(arm, images, bank) for arm, bank in zip(arms, banks, strict=True)]
    rows, made = [], []
    for what, place in SCORES.items():
        pairs = {id(arm): (a[place], b[place]) for arm, a, b in zip(arms, own, there, strict=True)}
        rows += [Elsewhere(what=what, dataset=name, arm=arm.name, value=auroc(*pairs[id(arm)])) for arm in arms]
        for one, other in against_scratch(arms):
            found = auroc_difference(pairs[id(one)], pairs[id(other)])
            made.append(gap(f"{what}: {name}", one, other, found))
    return rows, made


def transfer(arms: Sequence[Arm], data: ImageData, name: str, device: torch.device) -> Numbers:
    """The test accuracy of a linear evaluation of each encoder on another data set, and the gaps to scratch."""
    right = {id(arm): _probed(arm, data, device) for arm in arms}
    rows = [Elsewhere(what="transfer", dataset=name, arm=arm.name, value=float(right[id(arm)].mean())) for arm in arms]
    made = [
        gap(f"transfer: {name}", one, other, agreement(right[id(one)], right[id(other)]))
        for one, other in against_scratch(arms)
    ]
    return rows, made


def agreement(first: Booleans, second: Booleans) -> Difference:
    """The difference of two accuracies on the same images, from whether each image is right (n,) bool."""
    return paired(int(first.sum()), int(second.sum()), int((first & second).sum()), len(first))


def _probed(arm: Arm, data: ImageData, device: torch.device) -> Booleans:
    """Whether each test image is right after a linear evaluation of the encoder on these data, by the program's protocol."""
    protocol, seed = usual(), arm.record.seed or 0
    precision = precision_here(arm.record.settled["precision"], device)
    own = normalised_as(data, arm.record.settled["backbone"], arm.record.settled["stem"])
    context = Context(own.to(device), device, autocast(device, precision), own.fingerprint, precision)
    encoder = arm.classifier.encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    start = Start(encoder, context, seed, context.data.split(seed=seed))
    frozen = Frozen(encoder, context, seed, start.parts, represent(arm.record, start))

    def train(training: Training, *, evaluate: Callable[[int], Metrics]) -> Progress:
        return trained(training, title=arm.record.id, evaluate=evaluate, stop=Stop())

    steps = Steps(train, _best, partial(trial_of, arm.record, stop=Stop()))
    outcome = protocol.evaluate(frozen, protocol.own({}), steps)
    found: Booleans = (outcome.test_logits.argmax(1) == context.data.test_labels).cpu().numpy()
    return found


def _best(search: Search) -> float:
    return best_rate({rate: accuracy for found in search({}) for rate, accuracy in found.items()})


def moved(name: str, own: ImageData, data_dir: Path, *, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most `count` labelled pictures of folder:PATH, drawn by the seed, with their labels among the own classes.

    A UsageError if the folder has no labels or other classes, or if the classifiers were trained on some of its pictures.
    """
    reading = Reading(
        image_size=own.image_size, fit=own.fit, workers=usable_cores(), progress=ShareDone("decoding pictures"), say=say
    )
    data = load_data(name, data_dir, reading=reading)
    unknown = [kind for kind in data.classes if kind not in own.classes]
    if unknown or not data.classes:
        what = f"its class {unknown[0]!r} is not known to the classifiers" if unknown else "it has no labels"
        raise UsageError(f"--moved {name}: {what}; accepted are sub-folders named as their classes: {', '.join(own.classes)}")
    _hold_apart(name, data, own)
    known = (data.train_labels >= 0).nonzero().flatten()
    drawn = torch.randperm(len(known) + len(data.test_labels), generator=generator(seed, "moved"))[:count]
    train, test = known[drawn[drawn < len(known)]], drawn[drawn >= len(known)] - len(known)
    images = torch.cat([chosen(data.train_images, train)[:], chosen(data.test_images, test)[:]])
    found = torch.cat([data.train_labels[train], data.test_labels[test]])
    return images, torch.tensor([own.classes.index(kind) for kind in data.classes])[found]


def _hold_apart(name: str, data: ImageData, own: ImageData) -> None:
    """A UsageError if labelled pictures of `own` are among these data; a message if only pretraining saw some."""
    seen = {line.sha256: bool(line.label) for line in own.manifest if line.part != "test"}
    with_labels = [seen[line.sha256] for line in data.manifest if line.sha256 in seen and line.label]
    if any(with_labels):
        raise UsageError(
            f"--moved {name}: the classifiers were trained on {sum(with_labels):,} of its pictures; accepted are others: take "
            "them out of the folder"
        )
    if with_labels:
        say(f"--moved {name}: the encoder was pretrained on {len(with_labels):,} of its pictures, without their labels")


def shifted(arms: Sequence[Arm], images: Tensor, labels: Tensor, name: str) -> Numbers:
    """The accuracy of each classifier on other pictures of its own classes, and the gaps to scratch."""
    found: dict[int, Answers] = {id(arm): arm.answers(images, labels) for arm in arms}
    rows = [
        Elsewhere(what="accuracy", dataset=name, arm=arm.name, value=float(found[id(arm)].right.mean())) for arm in arms
    ]  # fmt: skip
    made = [
        gap(f"accuracy: {name}", one, other, agreement(found[id(one)].right, found[id(other)].right))
        for one, other in against_scratch(arms)
    ]
    return rows, made


def tell_of_missing(names: Sequence[str], data_dir: Path) -> None:
    """Say which data sets were left out."""
    if names:
        say(f"not in {data_dir}, or not whole: {', '.join(names)}; what lies there is used, too")


def loaded(load: Callable[[], ImageData], *, named: bool) -> ImageData | None:
    """A data set; None if nobody named it and it does not lie there. The StateError of one that was named is raised."""
    try:
        return load()
    except StateError:
        if named:
            raise
        return None
