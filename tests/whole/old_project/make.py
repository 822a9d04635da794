"""Makes `project/`, `pictures.npz`, `reached.json` and `reached.npz` beside this file, with the program of commit e27a41b.

    git worktree add --detach OLD e27a41b
    PYTHONPATH=OLD python tests/whole/old_project/make.py

The project has a finished study, a half-done one, and a pretraining and a fine-tuning that were stopped. `reached.json` and
`reached.npz` say how these ended when the old program itself went on with them, in a copy of the project. Pictures and net are
small, to keep the files small.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from alike import HALF, ORDERS, STOPPED, STUDY, bits_here, key_of, shrink, state_of, weights_of  # beside this file

from sslcli.cli import main
from sslcli.data.batches import Batches, generator
from sslcli.data.sets import shapes
from sslcli.options.trainings import TRAININGS
from sslcli.runs.registry import Registry
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.loop import Progress

HERE = Path(__file__).parent
PRETRAIN = (
    "pretrain --dataset shapes --backbone resnet9 --epochs 3 --batch-size 25 --optimizer adamw --projector-hidden 8 "
    "--projector-dim 8 --knn-images 50 --precision fp32 --name stopped"
)
FINETUNE = "finetune --epochs 2 --batch-size 30 --optimizer adamw --precision fp32 --name halfway"


def run(line: str, *, stop_at: int | None = None) -> None:
    """Carry out a command line; with `stop_at`, SIGTERM comes in the training step of this number."""
    steps, add = 0, Progress.add

    def counted(self: Progress, values: dict[str, float]) -> None:
        nonlocal steps
        steps += 1
        add(self, values)
        if steps == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    sys.argv = ["ssl", *shlex.split(line)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "add", counted)
        with pytest.raises(SystemExit) as ended:
            main(sys.argv[1:])
    assert ended.value.code == (0 if stop_at is None else 128 + signal.SIGTERM), line


def make_project(project: Path) -> None:
    """The project, in an empty folder."""
    shutil.copy(HERE / "study.yaml", project)
    os.chdir(project)
    run(f"{STUDY} --name whole")
    run(PRETRAIN, stop_at=6)  # of 12 steps
    run(FINETUNE, stop_at=4)  # of 6 steps
    run(HALF, stop_at=8 + 9 + 5)  # after all steps of the pretraining and the first evaluation, in the second one
    shutil.rmtree("results")
    for left in [*project.rglob(".lock"), *project.rglob(".heartbeat")]:
        left.unlink()


def go_on(project: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the runs that were stopped end with, and their weights."""
    os.chdir(project)
    registry, ends, weights = Registry(project), dict[str, Any](), dict[str, np.ndarray]()
    for name in STOPPED:
        run(f"resume {name}")
        record = registry.load(registry.find(name))
        ends[name] = state_of(record)
        held = load_checkpoint(registry, record, "last" if record.experiment == "pretrain" else "best")
        weights |= {f"{name}/{key}": value for key, value in weights_of(held).items()}
    run(HALF)
    ends["half"] = {key_of(run): state_of(registry.load(run)) for run in registry.runs() if run.study == "half"}
    return ends, weights


def make() -> None:
    """All files."""
    patch = pytest.MonkeyPatch()
    shrink(patch)
    patch.setattr("platform.node", lambda: "a-machine")
    patch.setattr("sslcli.studies.study.save_pictures", lambda *_: None)
    data = shapes.load(Path(), download=False)
    rows = ("train_images", "train_labels", "test_images", "test_labels")
    np.savez_compressed(HERE / "pictures.npz", **{name: getattr(data, name).numpy() for name in rows})
    orders = {
        name: [batches.at(step).tolist() for step in range(2 * batches.epoch_steps)]
        for name, (count, size, drop_last) in ORDERS.items()
        for batches in [Batches(count, size, seed=1, drop_last=drop_last)]
    }
    draws = [torch.rand(4, generator=generator(1, "views", step)).tolist() for step in range(3)]
    with tempfile.TemporaryDirectory() as work:  # below no other project
        make_project(Path(work))
        shutil.rmtree(HERE / "project", ignore_errors=True)
        shutil.copytree(work, HERE / "project")
        ends, weights = go_on(Path(work))
        os.chdir(HERE)
    np.savez_compressed(HERE / "reached.npz", **weights)
    defaults = {command: kind().options() for command, kind in TRAININGS.items()}
    reached = {"bits": bits_here(), "defaults": defaults, "orders": orders, "draws": draws, "ends": ends}
    (HERE / "reached.json").write_text(json.dumps(reached) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make()
