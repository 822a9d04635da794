"""What a finished evaluation says of own pictures: class, calibrated confidence, and whether it knows anything like them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sslcli.console.messages import say
from sslcli.data import FOLDER
from sslcli.data.folder.catalogue import list_pictures
from sslcli.data.folder.label_file import predicted_in
from sslcli.data.folder.pictures import Fit
from sslcli.data.image_data import ImageData
from sslcli.data.on_disk import Images, chosen
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.temperature import confidences, fit_temperature
from sslcli.evaluation.unlike import Familiar, familiar
from sslcli.runs.paths import labels_of, located
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.device import choose_device


@dataclass(frozen=True)
class Rated:
    """For N pictures, (N,) each: predicted class, its confidence in [0, 1], and distance to the nearest training pictures."""

    classes: Tensor
    confidence: Tensor
    distance: Tensor


@dataclass(frozen=True, kw_only=True)
class Rater:
    """A run's classifier, with what its validation pictures say of it.

    `names` are its classes. It takes squares with a side of `side` pixels, made as `fit` says. `temperature` was chosen on
    `validated` validation pictures, and so was the threshold of `familiar`.
    """

    names: list[str]
    side: int
    fit: Fit
    h: Callable[[Images], Tensor]
    head: nn.Linear
    temperature: float
    validated: int
    familiar: Familiar

    @torch.no_grad()
    def rate(self, images: Images) -> Rated:
        """The ratings of uint8 images (N, 3, side, side)."""
        h = self.h(images)
        confidence, classes = confidences(self.head(h), self.temperature)
        return Rated(classes, confidence, self.familiar.distances(h))


@torch.no_grad()
def rater_of(registry: Registry, record: Run, data: ImageData, *, device: str) -> Rater:
    """The classifier of a finished evaluation; `data` are those of its run.

    It computes h of the labelled training and validation images. No test image is used.
    """
    classifier, artifact = load_classifier(registry, record)
    of, encoder = outputs_as_in(record, artifact, choose_device(device)), classifier.encoder
    parts = data.split(seed=record.seed or 0, label_fraction=record.label_fraction or 1.0)
    say(f"{record.id}: computing representations of {len(parts.train) + len(parts.val):,} training and validation images")
    train_h, val_h = (of(encoder, chosen(data.train_images, rows)) for rows in (parts.train, parts.val))
    return Rater(
        names=artifact["classes"], side=artifact.get("kept_size", artifact["image_size"]), fit=artifact.get("fit", "crop"),
        h=lambda images: of(encoder, images), head=classifier.head, validated=len(parts.val),
        temperature=fit_temperature(classifier.head(val_h), data.train_labels[parts.val]), familiar=familiar(train_h, val_h),
    )  # fmt: skip


def given_labels(registry: Registry, record: Run, data: ImageData) -> dict[str, tuple[str, str]]:
    """The class and the part of each picture of a run's folder that a person labelled, by its real path; none if its data are
    no folder.
    """
    root = os.path.realpath(str(located(registry, record.options)["dataset"]).removeprefix(FOLDER))
    written = predicted_in(labels_of(registry, record))
    places = list_pictures(Path(root)).places if written else None
    predicted = {places.find(path) or path for path in written} if places else set[str]()
    return {
        os.path.join(root, line.path): (line.label, line.part)
        for line in data.manifest
        if line.label and line.path not in predicted
    }
