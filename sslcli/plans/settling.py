"""What the training commands share: the project, the machine, a run's record, and a fit that can be resumed."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.optim import Optimizer

import sslcli
from sslcli.data import FOLDER
from sslcli.data.image_data import load_data
from sslcli.data.transform import preprocessing
from sslcli.distributed import first_of_each_machine_first, on_first, world
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.naming import dataset_word, share_label
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.launch import as_typed
from sslcli.methods.method import ParameterGroup
from sslcli.models import TIMM, default_stem, has_stem, stems_in_words
from sslcli.models.backbones.timm_nets import hold_to_known
from sslcli.models.encoder import hold_to_side
from sslcli.options.command import Finetune, Pretrain, Probe
from sslcli.options.pairing import pair_key
from sslcli.plans.data_access import Load, data_folder, keep_manifest, reading_of
from sslcli.runs.next_step import next_command
from sslcli.runs.paths import recorded
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import say
from sslcli.training.context import Setting as Setting
from sslcli.training.device import (
    autocast,
    be_deterministic,
    choose_device,
    choose_precision,
    describe,
    slow_by_choice,
    use_well,
)
from sslcli.training.loop import Metrics
from sslcli.training.optim import build_optimizer, warmup_cosine


def prepare(registry: Registry, options: Pretrain | Probe | Finetune, *, load: Load = load_data) -> tuple[Setting, Any]:
    """Find the device, load the data, and fill in what depends on either: precision and stem.

    Of several processes all take what the first fills in, and must have its data.
    """
    if options.backbone and options.backbone.startswith(TIMM):
        hold_to_known(options.backbone)
    if options.backbone and options.stem not in (None, "auto") and not has_stem(options.backbone, options.stem):
        accepted = stems_in_words(options.backbone)
        raise UsageError(f"--stem {options.stem!r}: {options.backbone} does not have it; accepted: {accepted}")
    batch = options.options().get("batch_size", world())
    if batch % world():
        raise UsageError(
            f"--batch-size {batch}: {world()} processes cannot take equal parts of it; accepted is a multiple of "
            f"{world()}, or a number of processes that divides {batch}"
        )
    device = choose_device(options.device)
    be_deterministic(on=options.deterministic)
    use_well(device)
    with first_of_each_machine_first():  # it may have to download
        folder, reading = data_folder(registry, options.data_dir), reading_of(registry, options)
        data = load(str(options.dataset), folder, download=options.download, reading=reading)
    if data.fingerprint != on_first(lambda: data.fingerprint):
        raise StateError(f"the data set {options.dataset} is not what the first process has (its sha256 is another)")
    if str(options.dataset).startswith(FOLDER) and options.image_size is None:
        options = options.because("from the median of the pictures", image_size=data.image_size)
    if options.precision == "auto":
        options = options.because(f"measured on this {device.type}", precision=choose_precision("auto", device))
    if options.stem in (None, "auto") and options.backbone:
        stem = default_stem(options.backbone, data.image_size)
        options = options.because(f"from the image size, {data.image_size}", stem=stem)
    if options.backbone and options.stem:
        hold_to_side(options.backbone, stem=options.stem, side=data.image_size)
    options = on_first(lambda: options)
    setting = Setting(data.to(device), device, autocast(device, options.precision), data.fingerprint)
    return setting, options


def default_rate(optimizer: str, batch_size: int, epochs: int) -> float:
    """The rate where none was given: linear in the batch for SGD (Goyal et al. 2017), by its square root for Adam."""
    if optimizer == "sgd":
        return (0.06 if epochs < 400 else 0.03) * batch_size / 256
    return 0.06 if optimizer == "muon" else 0.001 * float(batch_size / 256) ** 0.5


def resolve_training(options: Any) -> Any:
    """Fill in rate, weight decay and warm-up where none was given; a rate that is to be searched stays open."""
    filled = {
        "lr": default_rate(options.optimizer, options.batch_size, options.epochs),
        # Muon's steps have a fixed size: without decay the weights grow sevenfold in pretraining, and fine-tuning at the
        # same rate then moves them seven times less than scratch (77.7 against 95.6 % on shapes; with it 98.4 at rate 0.15).
        "weight_decay": {"sgd": 5e-4, "adamw": 0.05, "muon": 0.06}[options.optimizer],
        "warmup_epochs": min(10, options.epochs / 20),
    }
    if options.options().get("search_lr"):
        del filled["lr"]
    missing = {name: value for name, value in filled.items() if getattr(options, name) is None}
    return options.because("from optimizer, batch and epochs", **missing)


@dataclass(frozen=True)
class Plan:
    """A training that is fully determined: resolved options, setting, and what the registry keeps beside them."""

    options: Any
    setting: Setting
    experiment: str
    init: str | None = None
    parent: str | None = None
    protocol: str | None = None
    method: str | None = None  # that trains the encoder, or has trained it
    origin: dict[str, Any] = field(default_factory=dict)  # of the file of others' weights that it begins with
    choices: dict[str, Any] = field(default_factory=dict)  # what was settled by measuring, beside the options

    @property
    def key(self) -> tuple[str, str | None, str | None, int | None, str]:
        """Equal for two trainings that would give the same numbers."""
        values = self.options.options()
        return self.experiment, self.init, self.parent, values.get("at_epoch"), self.pair

    @property
    def pair(self) -> str:
        """Equal for evaluations that differ in init alone; two pretrainings that begin with other weights are never equal."""
        return pair_key(self.experiment, self.options.options(), self._begun_with)

    @property
    def setup(self) -> str:
        """Equal for trainings that differ in init and seed alone."""
        return pair_key(self.experiment, self.options.options(), self._begun_with, but=("seed",))

    @property
    def _begun_with(self) -> str:
        weights: str = self.origin.get("sha256", "") if self.experiment == "pretrain" else ""
        return self.setting.fingerprint + weights


def new_run(registry: Registry, plan: Plan, *, study: str | None) -> Run:
    """Enter a run into the registry with all that is known before its first step."""
    options, values = plan.options, plan.options.options()
    values = recorded(registry, values)
    at_epoch = values.get("at_epoch")
    made = (plan.method, plan.init) if plan.experiment == "pretrain" else (plan.init, plan.method)
    kind = "-".join(filter(None, made))
    label = share_label(values.get("label_fraction")).replace("_", "-") + (f"-e{at_epoch}" if at_epoch else "")
    run = registry.create(
        f"{kind}-{_plain(options.backbone)}-{dataset_word(options.dataset)}{label}-s{options.seed}",
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
        epochs=options.epochs if plan.protocol is None or PROTOCOLS[plan.protocol].by_steps else None,
        label_fraction=values.get("label_fraction"),
        at_epoch=at_epoch,
        pair=plan.pair,
        setup=plan.setup,
        options=values,
        command=as_typed(),
        versions=versions(),
        device=describe(plan.setting.device),
        data={
            "sha256": plan.setting.fingerprint,
            **preprocessing(plan.setting.data),
            **({"init": plan.origin} if plan.origin else {}),
        },
        choices=dict(plan.choices),
    )
    keep_manifest(registry, run, plan.setting.data)
    return run


def _plain(name: str) -> str:
    """A name as part of a folder's: what is no letter or digit becomes a hyphen."""
    return re.sub("[^a-z0-9]+", "-", name.lower())


def start(registry: Registry, plan: Plan, carry_out: Callable[[Registry, Run, Any, Setting], Run]) -> Run:
    """Enter a settled training into the registry, carry it out, and say what to type next; the finished run's record."""
    tell_of_speed(plan.setting.device, [plan.options.precision])
    made = carry_out(registry, on_first(lambda: new_run(registry, plan, study=None)), plan.options, plan.setting)
    say(f"next, type: {next_command(registry)}")
    return made


def tell_of_speed(device: torch.device, precisions: Sequence[str], *, settled: bool = False) -> None:
    """Say what makes trainings slower than this machine is: see `slow_by_choice`."""
    for line in slow_by_choice(device, precisions, settled=settled):
        say(f"slower than it could be: {line}")


def versions() -> dict[str, Any]:
    """What computed: versions of Python, torch, torchvision and this program, with its git commit where it has one."""
    found = {"sslcli": sslcli.__version__, "python": platform.python_version(), "platform": platform.platform()}
    found |= {"torch": str(torch.__version__), "torchvision": str(torchvision.__version__)}
    checkout = Path(sslcli.__file__).parents[1]
    if not (checkout / ".git").exists():  # installed, perhaps inside somebody else's repository
        return found
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(git, check=False, capture_output=True, text=True, timeout=5)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return found
    return found | ({"commit": answer.stdout.strip()} if answer.returncode == 0 else {})


def total_steps(options: Pretrain | Finetune, epoch_steps: int) -> int:
    """How many optimizer steps a training takes."""
    steps = options.epochs * epoch_steps
    return min(steps, options.max_steps or steps)


def rate_schedule(options: Pretrain | Finetune, steps: int, epoch_steps: int) -> Callable[[int], float]:
    """The function from a step to its rate: warm-up, then a cosine."""
    lr, warmup = options.lr or 0.0, round((options.warmup_epochs or 0.0) * epoch_steps)
    return lambda step: warmup_cosine(step, steps=steps, warmup=warmup, lr=lr)


def optimizer_for(module: nn.Module, options: Pretrain | Finetune, *, own: Sequence[ParameterGroup] = ()) -> Optimizer:
    """The optimizer that the options ask for; `own` are parameters that have a rate or a decay of their own."""
    return build_optimizer(
        module, options.optimizer, lr=options.lr or 0.0, weight_decay=options.weight_decay or 0.0, momentum=options.momentum,
        precision=options.precision,
        own=own,
    )  # fmt: skip


def accuracies(metrics: Metrics) -> str:
    """Accuracies in words."""
    return ", ".join(f"{name} {value:.2%}" for name, value in metrics.items())
