"""Enter a settled training into the registry and carry it out."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torchvision

import sslcli
from sslcli.console.messages import say
from sslcli.data.transform import preprocessing
from sslcli.distributed import on_first
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.launch import as_typed
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import OptionsT, TrainingOptions
from sslcli.plans.data_access import keep_manifest
from sslcli.plans.method_file import keep_code
from sslcli.plans.plan import Plan
from sslcli.runs.naming import dataset_word, share_label
from sslcli.runs.next_step import next_command
from sslcli.runs.paths import recorded
from sslcli.runs.registry import Registry
from sslcli.runs.run import Data, Run
from sslcli.training.context import Context
from sslcli.training.device import (
    describe,
    tell_of_speed,
)


def new_run(registry: Registry, plan: Plan[TrainingOptions], *, study: str | None) -> Run:
    """Enter a run into the registry with everything that is known before its first step."""
    options = plan.options
    values = recorded(registry, options.options())
    at_epoch = options.at_epoch if isinstance(options, Probe) else None
    label_fraction = None if isinstance(options, Pretrain) else options.label_fraction
    made = (plan.method, plan.init) if plan.experiment == "pretrain" else (plan.init, plan.method)
    kind = "-".join(filter(None, made))
    label = share_label(label_fraction).replace("_", "-") + (f"-e{at_epoch}" if at_epoch else "")
    run = registry.create(
        f"{kind}-{_plain(options.backbone or '')}-{dataset_word(options.dataset)}{label}-s{options.seed}",
        experiment=plan.experiment,
        status="interrupted",
        name=options.name,
        study=study,
        parent=plan.parent,
        protocol=plan.protocol,
        method=plan.method,
        init=plan.init,
        dataset=values["dataset"],
        backbone=options.backbone,
        seed=options.seed,
        epochs=values["epochs"] if plan.protocol is None or PROTOCOLS[plan.protocol].by_steps else None,
        label_fraction=label_fraction,
        at_epoch=at_epoch,
        pair=plan.pair,
        setup=plan.setup,
        options=values,
        command=as_typed(),
        versions=versions(),
        device=describe(plan.context.device),
        data=data_of(plan),
        choices=dict(plan.choices),
    )
    keep_manifest(registry, run, plan.context.data)
    if plan.code and isinstance(options, Pretrain):
        keep_code(registry, run, options.file)
    return run


def data_of(plan: Plan[TrainingOptions]) -> Data:
    """The record of the images that a run is trained on, and of the files that it starts from."""
    as_input = preprocessing(plan.context.data)
    data: Data = {
        "sha256": plan.context.fingerprint, "image_size": as_input["image_size"], "kept_size": as_input["kept_size"],
        "fit": as_input["fit"], "mean": as_input["mean"], "std": as_input["std"],
    }  # fmt: skip
    if plan.origin:
        data["init"] = plan.origin
    if plan.code:
        data["method"] = plan.code
    return data


def _plain(name: str) -> str:
    """A name as part of a folder name, with a hyphen for everything but letters and digits."""
    return re.sub("[^a-z0-9]+", "-", name.lower())


def start(registry: Registry, plan: Plan[OptionsT], carry_out: Callable[[Registry, Run, OptionsT, Context], Run]) -> Run:
    """Enter a settled training into the registry, carry it out, and say what to type next. Returns the finished record."""
    tell_of_speed(plan.context.device, [plan.options.precision])
    made = carry_out(registry, on_first(lambda: new_run(registry, plan, study=None)), plan.options, plan.context)
    say(f"next, type: {next_command(registry)}")
    return made


def versions() -> dict[str, str]:
    """The versions of Python, torch, torchvision and this program, with its git commit if there is one."""
    found = {"sslcli": sslcli.__version__, "python": platform.python_version(), "platform": platform.platform()}
    found |= {"torch": str(torch.__version__), "torchvision": str(torchvision.__version__)}
    return found | _commit(Path(sslcli.__file__).parents[1])


@cache
def _commit(checkout: Path) -> dict[str, str]:
    """The git commit of a checkout, as `commit`; empty if there is none. This process has imported it as it was then."""
    if not (checkout / ".git").exists():  # installed, perhaps inside somebody else's repository
        return {}
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(git, check=False, capture_output=True, text=True, timeout=5)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"commit": answer.stdout.strip()} if answer.returncode == 0 else {}
