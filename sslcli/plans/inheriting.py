"""The encoder of an evaluation: its source, and the options that it inherits from there."""

from __future__ import annotations

from collections.abc import Mapping

from sslcli.console.messages import say
from sslcli.data import FOLDER
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.naming import WORDS
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.options.finetune import Finetune
from sslcli.options.probe import Probe
from sslcli.options.trainings import EvaluationT
from sslcli.plans.pretraining import kept_epochs, load_pretrained
from sslcli.plans.weights_file import begin_with_file
from sslcli.runs.naming import weights_path
from sslcli.runs.paths import absolute_dataset, located
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

FROM_PRETRAINING = ("dataset", "backbone", "stem", "seed")
OF_FOLDER: dict[str, object] = {"labels": None, "image_size": None, "fit": "crop"}
WITHOUT_PARENT = {"dataset": "cifar10", "backbone": "resnet18", "stem": "auto", "seed": 1}


def settle_encoder(registry: Registry, command: EvaluationT) -> EvaluationT:
    """The command with the id of the pretrain run as `--encoder`, for the record; unchanged if there is no such run."""
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


def inherit(registry: Registry, command: EvaluationT) -> tuple[EvaluationT, Run | None]:
    """Take data set, backbone, stem and seed, where they are None, from a pretrain run; returns the parent too.

    A scratch encoder, or one with weights from elsewhere, has no parent, but takes the settings of the newest finished pretrain
    run, so that it becomes its partner.
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
            + ", ".join(f"{name} {getattr(filled, name)}" for name in FROM_PRETRAINING)
        )
        return filled, None
    filled = fill(command, located(registry, partner.options), f"from pretrain run {partner.id}")
    say(f"{command.init} beside {partner.id}: " + ", ".join(f"{name} {getattr(filled, name)}" for name in FROM_PRETRAINING))
    return filled, None


def settle_epoch(command: EvaluationT, parent: Run | None) -> EvaluationT:
    """Check that the parent has kept the checkpoint of --at-epoch. None stands for its last epoch."""
    if (at_epoch := command.options().get("at_epoch")) is None:
        return command
    if weights_path(command.init) is not None:
        raise UsageError(f"--at-epoch {at_epoch}: --init {command.init} is a file without epochs; leave the option out")
    if parent is None:
        raise UsageError(f"--at-epoch {at_epoch}: a scratch encoder was never trained; leave the option out")
    if at_epoch == parent.epochs:
        return command.because(f"the last epoch of {parent.id}", at_epoch=None)
    if at_epoch not in (kept := kept_epochs(parent)):
        accepted = ", ".join(map(str, kept)) or "only the last (use ssl pretrain --keep-every to keep more)"
        raise StateError(f"--at-epoch {at_epoch}: {parent.id} did not keep this epoch's checkpoint; accepted: {accepted}")
    return command


def fill(command: EvaluationT, values: Mapping[str, object], origin: str) -> EvaluationT:
    """The command with data set, reading options, backbone, stem and seed from `values` where they are None."""
    values = {**OF_FOLDER, **values}
    same_data: bool = command.dataset is None or absolute_dataset(command.dataset) == absolute_dataset(str(values["dataset"]))
    taken = [*FROM_PRETRAINING, "image_size", "fit", *["labels"] * same_data]
    missing = {name: values[name] for name in taken if getattr(command, name) is None}
    if not str(missing.get("dataset") or command.dataset).startswith(FOLDER):
        missing |= {name: OF_FOLDER[name] for name in OF_FOLDER if getattr(command, name) is None}
    if command.backbone not in (None, values["backbone"]) and command.stem is None:
        missing["stem"] = "auto"
    return command.because(origin, **missing)


def starting_encoder(registry: Registry, run: Run, options: Probe | Finetune) -> Encoder:
    """The parent's encoder, one with weights from elsewhere, or the random one that pretraining with this seed starts from."""
    if run.parent:
        return load_pretrained(registry, registry.find(run.parent, experiment="pretrain"), at_epoch=run.at_epoch)
    encoder = build_encoder(options.backbone or "", stem=options.stem or "", seed=options.seed or 0)
    begin_with_file(run, encoder, options)
    return encoder
