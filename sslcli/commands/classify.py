"""What probe and finetune share: where the encoder comes from, and how a classifier's run ends."""

from __future__ import annotations

from typing import Any

from torch import nn

from sslcli.checkpoint import State, load_checkpoint, save_checkpoint
from sslcli.commands.common import Setting, headline
from sslcli.commands.pretrain import kept_epochs, load_pretrained
from sslcli.commands.project import say
from sslcli.config import Finetune, Probe
from sslcli.errors import StateError, UsageError
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.registry import Registry, Run
from sslcli.training.log import duration
from sslcli.training.loop import Progress

SETTING = ("dataset", "backbone", "stem", "seed")
WITHOUT_PARENT = {"dataset": "cifar10", "backbone": "resnet18", "stem": "auto", "seed": 1}


def inherit(registry: Registry, command: Any) -> tuple[Any, Run | None]:
    """Take data set, backbone, stem and seed from a pretrain run where none was given; returns the parent too.

    A scratch encoder has no parent, but takes the setting of the newest finished pretrain run, so as to be its partner.
    """
    if command.init == "pretrained":
        parent = registry.load(registry.find(command.encoder, experiment="pretrain", status="finished"))
        for name in ("backbone", "stem", "seed"):
            given = getattr(command, name)
            if given not in (None, parent.options[name]):
                raise UsageError(f"--{name} {given}: {parent.id} has {parent.options[name]}; leave the option out")
        return _fill(command, parent.options, f"from pretrain run {parent.id}"), parent
    try:
        partner = registry.load(registry.find(command.encoder, experiment="pretrain", status="finished"))
    except StateError:
        if command.encoder != "latest":
            raise
        say("no finished pretrain run here: scratch is ResNet-18 on CIFAR-10 unless told otherwise")
        return _fill(command, WITHOUT_PARENT, "default"), None
    filled = _fill(command, partner.options, f"from pretrain run {partner.id}")
    say(f"scratch beside {partner.id}: " + ", ".join(f"{name} {getattr(filled, name)}" for name in SETTING))
    return filled, None


def settle_epoch(command: Probe, parent: Run | None) -> Probe:
    """Hold --at-epoch to the checkpoints that the parent has kept; its last epoch is what is probed without it."""
    if command.at_epoch is None:
        return command
    if parent is None:
        raise UsageError(f"--at-epoch {command.at_epoch}: a scratch encoder was never trained; leave the option out")
    if command.at_epoch == parent.epochs:
        return command.because(f"the last epoch of {parent.id}", at_epoch=None)
    if command.at_epoch not in (kept := kept_epochs(parent)):
        accepted = ", ".join(map(str, kept)) or "none but the last (pretrain with --keep-every to keep more)"
        raise StateError(f"--at-epoch {command.at_epoch}: {parent.id} has kept the checkpoints of these epochs: {accepted}")
    return command


def _fill(command: Any, values: dict[str, Any], origin: str) -> Any:
    missing = {name: values[name] for name in SETTING if getattr(command, name) is None}
    if command.backbone not in (None, values["backbone"]) and command.stem is None:
        missing["stem"] = "auto"
    return command.because(origin, **missing)


def starting_encoder(registry: Registry, run: Run, options: Probe | Finetune) -> Encoder:
    """The parent's encoder, or a random one that is drawn from the seed: the one that pretraining of that seed began with."""
    if run.parent:
        return load_pretrained(registry, registry.find(run.parent, experiment="pretrain"), at_epoch=run.at_epoch)
    return build_encoder(options.backbone or "", stem=options.stem or "", seed=options.seed or 0)


def finish(registry: Registry, run: Run, classifier: Classifier, progress: Progress, setting: Setting, **more: Any) -> None:
    """Write best.pt, encoder and head in one, and the headline numbers.

    test_acc is that of the epoch that validation chose; best_test_acc the best over epochs, which the original study
    reports, and which looks at the test images to choose.
    """
    best, data = progress.best["metrics"], setting.data
    run.metrics = {
        "val_acc": best["val/acc"],
        "test_acc": best["test/acc"],
        "best_test_acc": max(epoch["test/acc"] for epoch in progress.history),
        "test_images": len(data.test_labels),
        "epoch": best["epoch"],
        "seconds": progress.seconds,
        **more,
    }
    run.data["encoder_sha256"] = weights_hash(classifier.encoder)
    mean, std = data.normalisation
    artifact = {
        "model": _on_cpu(classifier),
        "backbone": run.options["backbone"],
        "stem": run.options["stem"],
        "classes": list(data.classes),
        "image_size": data.image_size,
        "mean": mean.cpu(),
        "std": std.cpu(),
    }
    save_checkpoint(registry, run, "best", artifact)


def load_classifier(registry: Registry, record: Run) -> tuple[Classifier, State]:
    """The classifier of a finished evaluation, encoder and head from its best.pt, and what else that holds."""
    artifact = load_checkpoint(registry, record, "best")
    encoder = build_encoder(artifact["backbone"], stem=artifact["stem"], seed=0)
    classifier = Classifier(encoder, len(artifact["classes"]))
    classifier.load_state_dict(artifact["model"])
    return classifier, artifact


def _on_cpu(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}


def report(run: Run) -> None:
    """Say what came out and what was written."""
    shown = {"test accuracy": run.metrics["test_acc"], "best over epochs": run.metrics["best_test_acc"]}
    shown["validation"] = run.metrics["val_acc"]
    print(f"{run.id}: {headline(shown)} (epoch {run.metrics['epoch']} of {run.epochs:g}, {duration(run.metrics['seconds'])})")
    say(f"wrote {run.checkpoint} and {run.folder}/run.yaml")
