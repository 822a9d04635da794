"""The encoder of a finished run, with images read as in its run; for embed and neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.data.folder.own_images import Own, images_in_turn
from sslcli.data.image_data import ImageData
from sslcli.data.on_disk import Images
from sslcli.data.prepare import Fit
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.plans.data_access import data_of_run
from sslcli.plans.pretraining import load_pretrained
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import State
from sslcli.training.device import choose_device, usable_cores


@dataclass(frozen=True)
class Reader:
    """A run's encoder: `pictures` reads own pictures as in its training, some at a time, and `h` gives the representations
    (N, d), on the CPU, of such images (N, 3, S, S) uint8.

    `data` loads the data set that it was trained on, once. `size` is the side of the pictures that it sees, in pixels; `fit`
    says how they become square.
    """

    run: Run
    pictures: Callable[[Sequence[str]], Iterator[list[Own]]]
    h: Callable[[Images], Tensor]
    data: Callable[[], ImageData]
    size: int
    fit: Fit


def reader_of(registry: Registry, selector: str | None, *, data_dir: Path | None, device: str) -> Reader:
    """The encoder of the named finished run, by default of the newest pretrain run.

    An evaluation's checkpoint is complete; a pretrain run has the images' mean and deviation in its record, or in its data.
    """
    found = registry.find(selector or "latest", experiment=None if selector else "pretrain", status="finished")
    record, known = registry.load(found), list[ImageData]()

    def data() -> ImageData:
        if not known:
            known.append(data_of_run(registry, record, data_dir))
        return known[0]

    if record.experiment == "pretrain":
        encoder = load_pretrained(registry, record)
        known_of_it: State = recorded if (recorded := _recorded(record)) else _measured(data())
    else:
        classifier, known_of_it = load_classifier(registry, record)
        encoder = classifier.encoder
    of = outputs_as_in(record, known_of_it, choose_device(device))
    size = known_of_it["image_size"]
    fit: Fit = known_of_it.get("fit", "crop")
    kept = known_of_it.get("kept_size", size)

    def own(names: Sequence[str]) -> Iterator[list[Own]]:
        progress = ShareDone("reading pictures")
        return images_in_turn(names, size=size, kept=kept, fit=fit, workers=usable_cores(), say=say, progress=progress)

    return Reader(record, own, partial(of, encoder), data, size, fit)


def _recorded(record: Run) -> State | None:
    """How a pretrain run recorded that its pictures become an input; None for one of an early version."""
    if "mean" not in record.data:
        return None
    known: State = {**record.data, "mean": torch.tensor(record.data["mean"]), "std": torch.tensor(record.data["std"])}  # type: ignore[typeddict-item]
    return known


def _measured(data: ImageData) -> State:
    mean, std = data.normalisation
    return {"mean": mean, "std": std, "image_size": data.image_size, "kept_size": data.kept_size, "fit": data.fit}


def own_pictures(reader: Reader, names: Sequence[str]) -> tuple[list[Path], Tensor]:
    """Own pictures, or folders of them, as the encoder gets them: paths, and images (N, 3, size, size)."""
    read = [own for some in reader.pictures(names) for own in some]
    return [path for path, _ in read], torch.stack([pixels for _, pixels in read])
