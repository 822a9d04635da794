"""What the tests of Slurm and Ray share: a tiny study of a person's own pictures, its jobs, and its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies.places.place import Ended, Job, Place
from sslcli.training.checkpoint import load_checkpoint
from sslcli.workflows.start import new_run
from sslcli.workflows.table import WORKFLOWS
from tests.conftest import Cli
from tests.measuring import wait_until

PRETRAIN = {
    "backbone": "resnet9-small",
    "batch_size": 8,
    "view_sizes": "8",
    "knn_every": 0,
    "optimizer": "adamw",
    "precision": "fp32",
}
LINE = "study --preset tiny.yaml --name tiny --device cpu"


def lay_out_study(folder: Path) -> None:
    """A folder `pics` of 48 pictures of two classes, and the preset tiny.yaml: a pretraining and a pair of probes."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "pics" / name).mkdir(parents=True)
        for number in range(24):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pics" / name / f"{number}.png")
    options = ", ".join(f"{name}: {value}" for name, value in PRETRAIN.items() if name != "view_sizes")
    (folder / "tiny.yaml").write_text(
        f'pretrain: {{dataset: "folder:pics", epochs: 1, view_sizes: "8", {options}}}\nprobe: {{epochs: 1}}\n', encoding="utf-8"
    )


def pretraining(registry: Registry, *, epochs: int, folder: Path) -> Job:
    """A pretraining that is in the registry and has not begun."""
    options = {**PRETRAIN, "dataset": f"folder:{folder / 'pics'}", "epochs": epochs, "keep_every": 2, "device": "cpu"}
    run = new_run(registry, WORKFLOWS["pretrain"].settle(registry, options, origin="the test"), study="tiny")
    return Job(run=run.id, folder=run.folder, device="cpu")


def record(registry: Registry, job: Job) -> Run:
    return registry.load(next(run for run in registry.runs() if run.id == job.run))


def wait_for_steps(project: Path, job: Job) -> None:
    """Return when a checkpoint was kept in a project: the training is amid its steps."""
    wait_until(lambda: any((project / job.folder / "checkpoints").glob("epoch*.pt")))


def end_of(place: Place) -> Ended:
    """How the only job at a place ended."""
    found: list[Ended] = []
    wait_until(lambda: bool(found.extend(place.ended()) or found))
    return found[0]


def numbers(registry: Registry) -> dict[tuple[str, str | None], tuple[dict[str, float], str]]:
    """The metrics of each finished run but its seconds, and the sha256 of its weights, by experiment and init."""
    found = {}
    for entry in registry.runs():
        run = registry.load(entry)
        assert run.status == "finished", run
        weights = load_checkpoint(registry, run, "last")["model"]
        digest = hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()
        found[run.experiment, run.init] = ({k: v for k, v in run.metrics.items() if k != "seconds"}, digest)
    return found


def same_numbers(
    ssl: Cli, folder: Path, *, on: str, project: Path | None = None, before: Callable[[str], None] = lambda _: None
) -> None:
    """The tiny study in a folder gives the same bits with --on as one training after the other, and does nothing twice.

    `before` is done with the line that has --on, before that is typed.
    """
    here, there = folder / "here", project or folder / "there"
    before(f"{LINE} --project {there} --on {on}")
    for line in (f"{LINE} --project {there} --on {on}", f"{LINE} --project {here}"):
        result = ssl(line)
        assert result.code == 0, result.err
    found = numbers(Registry(there))
    assert found == numbers(Registry(here))
    assert len(found) == 3
    attempts = [run.attempts for run in whole_runs(there)]
    assert ssl(f"{LINE} --project {there} --on {on}").code == 0
    assert [run.attempts for run in whole_runs(there)] == attempts
    assert [len(of_run) for of_run in attempts] == [1, 1, 1]


def whole_runs(project: Path) -> list[Run]:
    registry = Registry(project)
    return [registry.load(run) for run in registry.runs()]
