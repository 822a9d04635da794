"""--watch: kNN and online accuracy on another labelled data set while pretraining; it does not train the encoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.data import FOLDER
from sslcli.data.batches import generator
from sslcli.data.folder.reading import Reading
from sslcli.data.image_data import ImageData, enough_labels
from sslcli.data.on_disk import chosen
from sslcli.distributed import first_of_each_machine_first
from sslcli.errors import UsageError
from sslcli.evaluation.features import outputs
from sslcli.evaluation.knn import knn_accuracy
from sslcli.evaluation.online import online_accuracy
from sslcli.methods.method import Method
from sslcli.models.encoder import hold_to_side
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import TrainingOptions
from sslcli.plans.data_access import Load, data_folder, hold_beside_project, normalised_as
from sslcli.runs.registry import Registry
from sslcli.training.context import Context
from sslcli.training.device import usable_cores
from sslcli.training.loop import Metrics

KNN_QUERIES = 2000  # training images that are queries of kNN; their labels are held out


def load_watched(registry: Registry, options: TrainingOptions, *, side: int, load: Load) -> ImageData | None:
    """The data set that --watch names, a folder's pictures at `side` pixels; None without --watch.

    A UsageError if it has too few labels, or if the encoder cannot take its images.
    """
    values = options.options()
    if (watch := values.get("watch")) is None:
        return None
    name, reading = str(watch), None
    if name.startswith(FOLDER):
        hold_beside_project(registry, name, option="--watch")
        progress = ShareDone("decoding watched pictures")
        reading = Reading(image_size=side, workers=usable_cores(), progress=progress, say=say)
    with first_of_each_machine_first():  # it may have to download
        data = load(name, data_folder(registry, options.data_dir), download=options.download, reading=reading)
    if not data.counts:
        accepted = "a data set with labels, or a folder with a sub-folder for each class"
        raise UsageError(f"--watch {name} has no labels: accepted is {accepted}")
    enough_labels(data, 1.0, dataset=f"--watch {name}")
    try:
        hold_to_side(str(values["backbone"]), stem=str(values["stem"]), side=data.image_size)
    except UsageError as error:
        raise UsageError(f"--watch {name}: {error}") from error
    return normalised_as(data, str(values["backbone"]), str(values["stem"]))


def watched_rows(options: Pretrain, data: ImageData) -> tuple[Tensor, Tensor]:
    """Positions of the watched images that are the bank, and of those that are queries."""
    parts, random = data.split(seed=options.seed), generator(options.seed, "watch")
    bank = parts.train[torch.randperm(len(parts.train), generator=random)[: options.knn_images]]
    return bank, parts.val[torch.randperm(len(parts.val), generator=random)[:KNN_QUERIES]]


def watcher(method: Method, options: Pretrain, context: Context) -> Callable[[], Metrics]:
    """The function that measures the encoder on the watched images, always the same ones; without them it measures nothing.

    It uses only the training part. A tenth are the queries, with labels held out; of the rest at most --knn-images are the
    bank. The classifier starts anew each time, so nothing is kept between two epochs.
    """
    if (data := context.watched) is None:
        return dict
    bank, asking = watched_rows(options, data)
    rows, labels = torch.cat([bank, asking]), data.train_labels.cpu()

    def measure() -> Metrics:
        images = chosen(data.train_images, rows)
        h = outputs(method.evaluated, images, normalise=data.normalise, autocast=context.autocast)
        there, answers = (labels[some].to(h.device) for some in (bank, asking))
        given = (h[: len(bank)], there, h[len(bank) :], answers)
        online = online_accuracy(*given, classes=len(data.classes), seed=options.seed)
        return {"watch/knn_acc": knn_accuracy(*given), "watch/online_acc": online}

    return measure
