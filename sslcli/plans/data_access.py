"""Loading a command's data: a data set by name, a folder of pictures, or the data of a recorded run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.data import FOLDER
from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import read_manifest, tested_but_seen, write_manifest
from sslcli.data.folder.reading import Reading
from sslcli.data.image_data import ImageData, enough_labels
from sslcli.data.loading import load_data
from sslcli.errors import StateError, UsageError
from sslcli.models import INPUT
from sslcli.models.own_input import own_input
from sslcli.options.finetune import Finetune
from sslcli.options.mapping import build, from_mapping
from sslcli.options.pictures import DataCheck, Views
from sslcli.options.probe import Probe
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.runs.paths import absolute_dataset, located
from sslcli.runs.registry import Registry
from sslcli.runs.run import EXPERIMENTS, Run
from sslcli.training.device import usable_cores

OF_DATA = ("dataset", "labels", "image_size", "fit", "data_dir")
"""The options that define which data a run reads, and how."""
Load = Callable[..., ImageData]
"""`load_data`, or a function like it that reuses data in memory."""


def reading_of(registry: Registry, options: TrainingOptions | Views | DataCheck) -> Reading | None:
    """How a folder of pictures is read; None for another data set.

    A UsageError for options that only a folder takes, and for a folder that contains the project: the next run would read the
    project's own pictures as data.
    """
    if (options.dataset or "").startswith(FOLDER):
        hold_beside_project(registry, options.dataset or "", option="--dataset")
        return Reading(
            labels=options.labels, image_size=options.image_size, fit=options.fit or "crop", workers=usable_cores(),
            progress=ShareDone("decoding pictures"), say=partial(_say_once, registry),
        )  # fmt: skip
    given = [name for name in ("labels", "image_size") if getattr(options, name) is not None] + ["fit"] * (options.fit == "pad")
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{names}: for --dataset folder:PATH only; with {options.dataset} leave it out")
    return None


def _say_once(registry: Registry, text: str) -> None:
    """Say something about a folder, unless this command has said it: a study reads the same folder many times."""
    if text not in registry.told:
        registry.told.add(text)
        say(text)


def hold_beside_project(registry: Registry, dataset: str, *, option: str) -> None:
    """A UsageError if the folder of folder:PATH contains the project."""
    folder = Path(absolute_dataset(dataset).removeprefix(FOLDER))
    if registry.root.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{option} {dataset}: the folder contains the project {registry.root}, which writes pictures; accepted "
            "is a folder beside the project or below it, or another --project"
        )


def data_folder(registry: Registry, named: Path | None) -> Path:
    """The folder of data sets: `named`, by default `data` in the project."""
    return named if named is not None else registry.root / "data"


def data_of_run(registry: Registry, record: Run, named: Path | None, *, load: Load = load_data) -> ImageData:
    """The data that a run was trained on, read from the folder `named`, by default from the run's own folder.

    A StateError if they are missing or have changed. `load` may reuse data in memory.
    """
    data = _load_as(registry, record, located(registry, record.options), named, load)
    if data.fingerprint != record.data.get("sha256"):
        raise StateError(f"run {record.id}: {record.dataset} is not the data that it was trained on (its sha256 differs)")
    return normalised_as(data, record.settled.get("backbone", ""), record.settled.get("stem", ""))


def normalised_as(data: ImageData, backbone: str, stem: str) -> ImageData:
    """The data, normalised as the backbone's authors did if its stem keeps the backbone's own input."""
    if not stem.startswith(INPUT):
        return data
    own = own_input(backbone)
    return replace(data, moments=(torch.tensor(own.mean), torch.tensor(own.std)), content=data.fingerprint)


def pictures_of_run(registry: Registry, record: Run, named: Path | None, *, labels: Path) -> ImageData:
    """The pictures of a run's folder, in the size of the run, with the labels of another file; they may have changed since."""
    return _load_as(registry, record, located(registry, record.options) | {"labels": labels}, named, load_data)


def _load_as(registry: Registry, record: Run, known: Mapping[str, object], named: Path | None, load: Load) -> ImageData:
    """Load the data that the options of a record say; the other options may need a method's file, and are not read."""
    command = TRAININGS[EXPERIMENTS[record.experiment]]
    of_data = {name: value for name, value in known.items() if name in OF_DATA}
    options = build(command, from_mapping(command, of_data, f"{record.folder}/run.yaml"))
    return load(str(options.dataset), data_folder(registry, named or options.data_dir), reading=reading_of(registry, options))


def count_labels(options: Probe | Finetune, data: ImageData) -> int:
    """The number of labelled images of an evaluation, a fraction of all, for training and validation.

    A UsageError if they are too few. A message tells the number if it exceeds the requested one by more than 10 %.
    """
    share = options.label_fraction
    enough_labels(data, share, dataset=options.dataset or "")
    taken, whole = data.size_of_split(share), sum(data.counts.values())
    if taken > 1.1 * share * whole:
        say(f"--label-fraction {share:g}: {taken:,} of {whole:,} labels, {taken / whole:.2g}: each class needs one held out")
    return taken


def keep_manifest(registry: Registry, run: Run, data: ImageData) -> None:
    """Write the list of a run's pictures into its folder, unless it exists.

    Records and reports how many of an evaluation's test pictures its encoder was pretrained on, without their labels.
    """
    file = registry.path(f"{run.folder}/{MANIFEST}")
    if not data.manifest or file.exists():
        return
    parent = registry.find(run.parent, experiment="pretrain") if run.parent else None
    if parent and (seen := registry.path(f"{parent.folder}/{MANIFEST}")).exists():
        _tell_of_seen(run, parent, data, seen)
        registry.save(run)
    write_manifest(file, data.manifest)


def _tell_of_seen(run: Run, parent: Run, data: ImageData, seen: Path) -> None:
    count = tested_but_seen(read_manifest(seen), data.manifest)
    run.data["test_seen_in_pretraining"] = count
    if count:
        say(
            f"ssl: WARNING: {parent.id} was pretrained on {count:,} of the {len(data.test_labels):,} test pictures, without "
            "their labels; to keep them out, pretrain with the same --labels, or with train and test folders"
        )
