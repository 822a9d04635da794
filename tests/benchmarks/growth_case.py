"""What one setting costs: `ssl pretrain` for one epoch on the images of a folder, in this fresh process, and parts of it alone.

`python -m tests.benchmarks.growth_case PROJECT BATCH_SIZE VIEW_SIZE`, under torchrun too; writes PROJECT/cost-<rank>.json.
PROJECT/data holds images.bin, random images as `load` reads them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from sslcli.cli import main as ssl
from sslcli.data import DATASETS, DataSet
from sslcli.data.batches import Batches
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.evaluation.knn import knn_accuracy
from sslcli.methods.simclr import nt_xent
from sslcli.runs.registry import Registry
from sslcli.training.checkpoint import load_checkpoint, save_checkpoint
from tests.benchmarks.growth import SIDE, TEST

LOADER = DataSet("tests.benchmarks.growth_case:load")
QUERIES, DIM = 256, 512  # of the kNN measurement: images that ask, length of h
COMMAND = "pretrain --dataset cifar10 --backbone resnet9 --epochs 1 --optimizer sgd --knn-every 0 --device cpu"


def load(data_dir: Path, *, download: bool) -> ImageData:  # noqa: ARG001
    """Read images.bin: random bytes as images of 32x32, the first of them for testing, with labels of ten classes."""
    images = torch.from_numpy(np.fromfile(data_dir / "images.bin", dtype=np.uint8)).view(-1, 3, SIDE, SIDE)
    labels = torch.arange(len(images)) % 10
    return ImageData(
        train_images=images[TEST:], train_labels=labels[TEST:], test_images=images[:TEST], test_labels=labels[:TEST],
        classes=tuple("abcdefghij"),
    )  # fmt: skip


def measure(project: Path, batch_size: int, *, view: int) -> dict[str, float]:
    """Costs of the whole command (seconds, MB beyond this process's start) and, after it, of its parts."""
    start = peak()
    seconds = timed(lambda: command(project, batch_size, view=view))
    memory = peak()
    of_process = {"start": start, "memory": memory - start}
    if os.environ.get("RANK", "0") != "0":  # the first process has all else, and all the files
        return of_process
    registry = Registry(project)
    run = registry.load(registry.find("latest"))
    steps, training = run.history[-1]["step"], run.metrics["seconds"]
    return {**of_process, "seconds": seconds, "steps": steps, "step": training / steps, **parts(project, batch_size)}


def command(project: Path, batch_size: int, *, view: int) -> None:
    """Run ssl pretrain; whatever it ends with but 0 goes on."""
    try:
        ssl([*f"{COMMAND} --view-sizes {view} --batch-size {batch_size} --project".split(), str(project)])
    except SystemExit as end:
        if end.code:
            raise


def parts(project: Path, batch_size: int) -> dict[str, float]:
    """Seconds of reading and fingerprinting the data, of an epoch's order, of kNN, of a checkpoint, of the loss."""
    data: list[ImageData] = []

    def read() -> None:
        data.append(load_data("cifar10", project / "data"))
        assert data[0].fingerprint
        assert len(data[0].normalisation) == 2

    found = {"load": timed(read)}
    count = len(data[0].train_images)
    batches = Batches(count, batch_size, seed=1, drop_last=True)
    found["order"] = timed(lambda: batches.at(batches.epoch_steps))  # of the second epoch: that of the first is remembered
    bank, labels = torch.randn(count, DIM), data[0].train_labels
    found["knn"] = timed(lambda: knn_accuracy(bank, labels, bank[:QUERIES], labels[:QUERIES]))
    registry = Registry(project)
    run = registry.load(registry.find("latest"))
    state = load_checkpoint(registry, run, "last")
    found["write"] = timed(lambda: save_checkpoint(registry, run, "last", state))
    z = torch.nn.functional.normalize(torch.randn(2, batch_size, 128), dim=2).requires_grad_()
    losses = [timed(lambda: nt_xent(z[0], z[1], temperature=0.5).backward()) for _ in range(3)]  # type: ignore[no-untyped-call]
    return {**found, "loss": min(losses)}


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak() -> float:
    """The most memory that this process has held at once, in MB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)


def main(arguments: Sequence[str]) -> None:
    """Measure, and write it down for this process. The random images take the place of CIFAR-10's."""
    DATASETS["cifar10"] = LOADER
    project, batch_size, view = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    cost = measure(project, batch_size, view=view)
    (project / f"cost-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(cost))


if __name__ == "__main__":
    main(sys.argv[1:])
