"""ssl probe: linear evaluation of a frozen encoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.commands.classify import finish, inherit, report, settle_epoch, starting_encoder
from sslcli.commands.common import Plan, Setting, prepare, start
from sslcli.commands.project import open_registry, say
from sslcli.commands.training_run import train
from sslcli.config import Probe
from sslcli.data.batches import Batches
from sslcli.data.image_data import split
from sslcli.evaluation.features import outputs
from sslcli.evaluation.linear import MOMENTUM, search_rate, standardisation
from sslcli.evaluation.metrics import score
from sslcli.models.classifier import Classifier
from sslcli.registry import Registry, Run
from sslcli.training.lifecycle import Stop, running
from sslcli.training.loop import Metrics
from sslcli.training.optim import build_optimizer, warmup_cosine


def run(command: Probe) -> None:
    """Start a new run."""
    registry = open_registry(command)
    start(registry, plan(registry, command), carry_out)


def plan(registry: Registry, command: Probe) -> Plan:
    """Settle every option, most of them from the pretrain run, and load the data."""
    inherited, parent = inherit(registry, command)
    setting, options = prepare(registry, settle_epoch(inherited, parent))
    return Plan(options, setting, "linear_eval", init=options.init, parent=parent.id if parent else None, protocol="linear")


def carry_out(registry: Registry, run: Run, options: Probe, setting: Setting) -> Run:
    """Evaluate a run that is in the registry, to its end."""
    with running(registry, run) as stop:
        _fit(registry, run, options, setting, stop)
    report(run)
    return run


def _fit(registry: Registry, run: Run, options: Probe, setting: Setting, stop: Stop) -> None:
    data, device, seed = setting.data, setting.device, options.seed or 0
    encoder = starting_encoder(registry, run, options).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = split(data.train_labels, seed=seed, label_fraction=options.label_fraction)
    train_rows, val_rows = parts.train.to(device), parts.val.to(device)
    say(f"{run.id}: representations of {len(train_rows) + len(val_rows) + len(data.test_labels):,} images, once")
    raw, raw_val, raw_test = (
        outputs(encoder, images, normalise=data.normalise, autocast=setting.autocast)
        for images in (data.train_images[train_rows], data.train_images[val_rows], data.test_images)
    )
    mean, std = standardisation(raw)
    h, h_val, h_test = (raw - mean) / std, (raw_val - mean) / std, (raw_test - mean) / std
    labels, val_labels = data.train_labels[train_rows], data.train_labels[val_rows]
    classes, epochs = len(data.classes), options.epochs
    batches = Batches(len(h), options.batch_size, seed=seed, drop_last=False)
    found = search_rate(h, labels, h_val, val_labels, classes=classes, epochs=epochs, batches=batches)
    rate = max(found, key=lambda candidate: found[candidate])

    head = zero_head(encoder.dim, classes).to(device)
    steps = epochs * batches.epoch_steps

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rows = batches.at(step).to(device)
        return F.cross_entropy(head(h[rows]), labels[rows]), {}

    @torch.no_grad()
    def evaluate(_: int) -> Metrics:
        return score(head(h_val), val_labels, prefix="val") | score(head(h_test), data.test_labels, prefix="test")

    progress = train(
        registry, run, head, build_optimizer(head, "sgd", lr=rate, weight_decay=0.0, momentum=MOMENTUM),
        batch_size=options.batch_size, stop=stop, steps=steps, epoch_steps=batches.epoch_steps, seed=seed, loss_at=loss_at,
        lr_at=lambda step: warmup_cosine(step, steps=steps, warmup=0, lr=rate), evaluate=evaluate,
    )  # fmt: skip
    head.load_state_dict(progress.best["weights"])
    classifier = Classifier(encoder, classes).to(device)
    classifier.head.load_state_dict(head.state_dict())
    classifier.fold_standardisation(mean, std)
    finish(registry, run, classifier, progress, setting, rate=rate)


def zero_head(dim: int, classes: int) -> nn.Linear:
    """A linear layer that starts from zero, so that nothing random stands between the representation and its score."""
    head = nn.Linear(dim, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
