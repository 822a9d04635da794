"""What probe and finetune share: where the encoder comes from, and how a classifier's run ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslcli.data import FOLDER
from sslcli.data.image_data import centre, normalise
from sslcli.data.on_disk import Images
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.features import outputs
from sslcli.evaluation.naming import WORDS
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.protocols.protocol import Outcome
from sslcli.evaluation.quality import headline
from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.options.command import Finetune, Probe, weights_path
from sslcli.plans.settling import Setting, accuracies
from sslcli.plans.weights_file import begin_with_file
from sslcli.runs.paths import absolute_dataset, located
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import say
from sslcli.training.checkpoint import State, load_checkpoint, save_checkpoint
from sslcli.training.device import autocast, precision_here
from sslcli.training.log import duration
from sslcli.training.loop import Metrics, Progress
from sslcli.workflows.pretraining import kept_epochs, load_pretrained

MOST = 100  # runs whose agreement with a new one is counted
COUNTED = ("running", "finished")
SETTING = ("dataset", "backbone", "stem", "seed")
OF_FOLDER: dict[str, Any] = {"labels": None, "image_size": None, "fit": "crop"}
WITHOUT_PARENT = {"dataset": "cifar10", "backbone": "resnet18", "stem": "auto", "seed": 1}


def settle_encoder(registry: Registry, command: Any) -> Any:
    """`--encoder` as the id of the pretrain run that it names, for the record; as it is where there is none to name."""
    try:
        found = registry.find(command.encoder, experiment="pretrain", status="finished")
    except StateError:
        if command.encoder != "latest" and (other := _any_run(registry, command.encoder)):
            raise StateError(
                f"--encoder {command.encoder}: {other.id} is a run of {WORDS[other.experiment]}, {registry.status(other)}; "
                f"accepted is a finished pretrain run; to see all, type: {registry.command('ssl runs list')}"
            ) from None
        return command
    return command.because(f"--encoder {command.encoder}", encoder=found.id)


def _any_run(registry: Registry, selector: str) -> Run | None:
    try:
        return registry.find(selector)
    except StateError:
        return None


def inherit(registry: Registry, command: Any) -> tuple[Any, Run | None]:
    """Take data set, backbone, stem and seed from a pretrain run where none was given; returns the parent too.

    A scratch encoder, or one of others' weights, has no parent, but takes the setting of the newest finished pretrain run,
    so as to be its partner.
    """
    if command.init == "pretrained":
        parent = registry.load(registry.find(command.encoder, experiment="pretrain", status="finished"))
        for name in ("backbone", "stem", "seed"):
            given = getattr(command, name)
            if given not in (None, parent.options[name]):
                raise UsageError(f"--{name} {given}: {parent.id} has {parent.options[name]}; leave the option out")
        return fill(command, located(registry, parent.options), f"from pretrain run {parent.id}"), parent
    try:
        partner = registry.load(registry.find(command.encoder, experiment="pretrain", status="finished"))
    except StateError:
        if command.encoder != "latest":
            raise
        filled = fill(command, WITHOUT_PARENT, "default")
        say(
            f"no finished pretrain run here; {command.init}: "
            + ", ".join(f"{name} {getattr(filled, name)}" for name in SETTING)
        )
        return filled, None
    filled = fill(command, located(registry, partner.options), f"from pretrain run {partner.id}")
    say(f"{command.init} beside {partner.id}: " + ", ".join(f"{name} {getattr(filled, name)}" for name in SETTING))
    return filled, None


def settle_epoch(command: Probe, parent: Run | None) -> Probe:
    """Hold --at-epoch to the checkpoints that the parent has kept; its last epoch is what is probed without it."""
    if command.at_epoch is None:
        return command
    if weights_path(command.init) is not None:
        raise UsageError(f"--at-epoch {command.at_epoch}: --init {command.init} is a file, of no epochs; leave the option out")
    if parent is None:
        raise UsageError(f"--at-epoch {command.at_epoch}: a scratch encoder was never trained; leave the option out")
    if command.at_epoch == parent.epochs:
        return command.because(f"the last epoch of {parent.id}", at_epoch=None)
    if command.at_epoch not in (kept := kept_epochs(parent)):
        accepted = ", ".join(map(str, kept)) or "none but the last (pretrain with --keep-every to keep more)"
        raise StateError(f"--at-epoch {command.at_epoch}: {parent.id} has kept the checkpoints of these epochs: {accepted}")
    return command


def fill(command: Any, values: dict[str, Any], origin: str) -> Any:
    """The command with data set, how it is read, backbone, stem and seed from `values` where none was given."""
    values = OF_FOLDER | values
    same_data = command.dataset is None or absolute_dataset(command.dataset) == absolute_dataset(values["dataset"])
    taken = [*SETTING, "image_size", "fit", *["labels"] * same_data]
    missing = {name: values[name] for name in taken if getattr(command, name) is None}
    if not (missing.get("dataset") or command.dataset).startswith(FOLDER):
        missing |= {name: OF_FOLDER[name] for name in OF_FOLDER if getattr(command, name) is None}
    if command.backbone not in (None, values["backbone"]) and command.stem is None:
        missing["stem"] = "auto"
    return command.because(origin, **missing)


def starting_encoder(registry: Registry, run: Run, options: Probe | Finetune) -> Encoder:
    """The parent's encoder, others' weights, or a random one drawn from the seed: as pretraining of that seed began with."""
    if run.parent:
        return load_pretrained(registry, registry.find(run.parent, experiment="pretrain"), at_epoch=run.at_epoch)
    encoder = build_encoder(options.backbone or "", stem=options.stem or "", seed=options.seed or 0)
    begin_with_file(run, encoder, options)
    return encoder


def finish(registry: Registry, run: Run, classifier: Classifier, setting: Setting, outcome: Outcome) -> None:
    """Keep the test logits, count what other runs have right too, and write best.pt: encoder, head and figures in one.

    test_acc is that of the epoch that validation chose; best_test_acc the best over epochs, which the original study
    reports, and which looks at the test images to choose.
    """
    progress, labels = outcome.progress or Progress(), setting.data.test_labels
    logits = outcome.test_logits.float().cpu().numpy()
    kept = Kept(logits, labels.cpu().numpy(), np.arange(len(labels)))
    run.metrics = figures_of(kept, run.protocol, progress.history) | outcome.figures
    if progress.best:
        run.metrics |= {"val_acc": progress.best["metrics"]["val/acc"], "epoch": progress.best["metrics"]["epoch"]}
    run.metrics |= {"seconds": progress.seconds} if progress.seconds else {}
    keep(registry.path(f"{run.folder}/{FILE}"), kept)
    run.both_right = count_both_right(registry, run, kept)
    run.data |= {"encoder_sha256": weights_hash(classifier.encoder), "classes": list(setting.data.classes)}
    mean, std = setting.data.normalisation
    artifact = {
        "model": _on_cpu(classifier),
        "backbone": run.options["backbone"],
        "stem": run.options["stem"],
        "classes": list(setting.data.classes),
        "image_size": setting.data.image_size,
        "kept_size": setting.data.kept_size,
        "fit": setting.data.fit,
        "mean": mean.cpu(),
        "std": std.cpu(),
        "run": identity(run),
        "metrics": {name: value for name, value in run.metrics.items() if name != "seconds"},
    }
    save_checkpoint(registry, run, "best", artifact)


def identity(run: Run) -> dict[str, Any]:
    """What an evaluation is of, in plain data: kept in its best.pt too, so that it cannot be mistaken for another."""
    names = ("experiment", "protocol", "init", "parent", "at_epoch", "dataset", "backbone", "seed", "label_fraction", "epochs",
             "pair", "setup")  # fmt: skip
    return {name: getattr(run, name) for name in names} | {"data": run.data.get("sha256")}


def figures_of(kept: Kept, protocol: str | None, history: list[Metrics]) -> dict[str, Any]:
    """The figures that test logits and history give: what `ssl runs verify --numbers` makes again.

    Of outputs that are no probabilities, such as kNN's shares of votes, there is no likelihood or calibration.
    """
    test_acc = int(kept.right.sum()) / len(kept.labels)
    found = {"test_acc": test_acc, "test_images": len(kept.labels)}
    if history:
        found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)
    no_probabilities = protocol in PROTOCOLS and not PROTOCOLS[protocol].probabilities
    return found if no_probabilities else found | headline(kept.logits, kept.labels)


def kin_of(registry: Registry, run: Run) -> list[Run]:
    """The other runs of the same setup and study that are finished, or still run but may have kept their logits."""
    try:
        runs = registry.runs()
    except UsageError:  # the index was damaged meanwhile; it can be rebuilt, and a training cannot
        return []
    return [r for r in runs if (r.setup, r.study) == (run.setup, run.study) and r.status in COUNTED and r.id != run.id]


def count_both_right(registry: Registry, run: Run, kept: Kept) -> dict[str, int]:
    """For the newest MOST of a run's kin: how many test images they have right that this one has right too.

    They keep their logits before they count, so that of two that end together one counts the other. Those whose logits cannot
    be read, or are of other images, are left out.
    """
    found = {}
    for other in kin_of(registry, run)[-MOST:]:
        try:
            theirs = read_kept(registry.path(f"{other.folder}/{FILE}"))
        except StateError:  # `ssl runs verify --numbers` says it of that run; this one is none the worse
            continue
        if np.array_equal(theirs.indices, kept.indices):
            found[other.id] = int((theirs.right & kept.right).sum())
    return found


def load_classifier(registry: Registry, record: Run) -> tuple[Classifier, State]:
    """The classifier of a finished evaluation, encoder and head from its best.pt, and what else that holds."""
    artifact = load_checkpoint(registry, record, "best")
    encoder = build_encoder(artifact["backbone"], stem=artifact["stem"], seed=0)
    classifier = Classifier(encoder, len(artifact["classes"]))
    classifier.load_state_dict(artifact["model"])
    return classifier, artifact


def outputs_as_in(record: Run, artifact: State, device: torch.device) -> Callable[[nn.Module, Images], Tensor]:
    """The function from a net and uint8 images (N, 3, H, W) to the net's outputs (N, d) on the CPU.

    Images are normalised, and numbers have the precision, as in the run whose best.pt holds `artifact`; but float32 where
    bfloat16 is slow.
    """
    mean, std, size = artifact["mean"].to(device), artifact["std"].to(device), artifact["image_size"]
    quick = autocast(device, precision_here(record.options["precision"], device))

    def scale(images: Tensor) -> Tensor:
        return normalise(centre(images, size), mean, std)

    def of(net: nn.Module, images: Images) -> Tensor:
        net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return outputs(net, images, normalise=scale, autocast=quick).cpu()

    return of


def _on_cpu(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}


def report(run: Run) -> None:
    """Say what came out and what was written."""
    names = {"test accuracy": "test_acc", "best over epochs": "best_test_acc", "validation": "val_acc"}
    shown = {words: run.metrics[name] for words, name in names.items() if name in run.metrics}
    trained = f" (epoch {run.metrics['epoch']} of {run.epochs:g}, {duration(run.metrics['seconds'])})" if run.history else ""
    print(f"{run.id}: {accuracies(shown)}{trained}")
    say(f"wrote {run.checkpoint}, {run.folder}/{FILE} and {run.folder}/run.yaml")
