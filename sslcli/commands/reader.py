"""What embed and neighbours share: the encoder of a finished run, ready to read images as it did in its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sslcli.checkpoint import State
from sslcli.commands.classify import load_classifier, outputs_as_in
from sslcli.commands.data_access import data_of_run
from sslcli.commands.pretrain import load_pretrained
from sslcli.data.image_data import ImageData
from sslcli.data.own_images import read_images
from sslcli.data.stored import Images
from sslcli.registry import Registry, Run
from sslcli.training.device import choose_device


@dataclass(frozen=True)
class Reader:
    """A run's encoder: `h` gives the representations (N, d) on the CPU of uint8 images (N, 3, `size`, `size`).

    `data` loads the data set that it was trained on, once.
    """

    run: Run
    size: int
    h: Callable[[Images], Tensor]
    data: Callable[[], ImageData]


def reader_of(registry: Registry, selector: str | None, *, data_dir: Path | None, device: str) -> Reader:
    """The encoder of the finished run that is named, else of the newest pretrain run.

    An evaluation's checkpoint holds all that is needed; for a pretrain run the images' mean and deviation come from its data.
    """
    found = registry.find(selector or "latest", experiment=None if selector else "pretrain", status="finished")
    record, known = registry.load(found), list[ImageData]()

    def data() -> ImageData:
        if not known:
            known.append(data_of_run(registry, record, data_dir))
        return known[0]

    if record.experiment == "pretrain":
        encoder = load_pretrained(registry, record)
        (mean, std), size = data().normalisation, data().image_size
        known_of_it: State = {"mean": mean, "std": std, "image_size": size}
    else:
        classifier, known_of_it = load_classifier(registry, record)
        encoder = classifier.encoder
    of = outputs_as_in(record, known_of_it, choose_device(device))
    return Reader(record, known_of_it["image_size"], partial(of, encoder), data)


def own_pictures(reader: Reader, names: Sequence[str]) -> tuple[list[Path], Tensor]:
    """Pictures of a person's own, or folders of them, as the encoder gets them: paths, and images (N, 3, size, size)."""
    read = read_images([Path(name) for name in names], size=reader.size)
    return [path for path, _ in read], torch.stack([pixels for _, pixels in read])
