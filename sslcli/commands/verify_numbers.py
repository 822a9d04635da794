"""ssl runs verify --numbers: every headline figure made again, from the test logits kept, or from weights and data."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch

from sslcli.checkpoint import load_checkpoint
from sslcli.commands.classify import count_both_right, figures_of, identity, load_classifier, outputs_as_in
from sslcli.commands.data_access import data_of_run
from sslcli.commands.project import pair_key, say
from sslcli.commands.words import init_label
from sslcli.config import RunsVerify
from sslcli.data.image_data import ImageData, load_data
from sslcli.data.stored import chosen
from sslcli.errors import UserError
from sslcli.evaluation.kept import FILE, read_kept
from sslcli.evaluation.knn import knn_votes
from sslcli.registry import Registry, Run
from sslcli.training.device import choose_device

SAME = 1e-9  # of figures from the same logits
NAMED_TWICE = ("protocol", "init", "at_epoch", "dataset", "backbone", "seed", "label_fraction")  # in options and beside them
CLOSE = 0.002  # of an accuracy from weights and data: another machine rounds otherwise


def numbers(registry: Registry, run: Run) -> list[str]:
    """The figures on record that logits, history and the checkpoint's own copies do not give again, in words."""
    try:
        record = registry.load(run)
        held = load_checkpoint(registry, record, "last" if "last.pt" in record.checkpoints else "best")
        history = held["progress"]["history"] if "progress" in held else []
        problems = _differences("history", _flat(history), _flat(record.history))
        if record.experiment == "pretrain":
            return problems + _differences("metric", _pretraining(held["progress"]), record.metrics)
        kept = read_kept(registry.path(f"{record.folder}/{FILE}"))
        artifact = load_checkpoint(registry, record, "best")
        own = artifact.get("metrics", {})
        problems += _identity(record, artifact.get("run", {}))
        clock = {"seconds": held["progress"]["seconds"]} if "progress" in held else {}
        problems += _differences("metric", own | clock, record.metrics)
        made = figures_of(kept, record.protocol, history)
        problems += _differences("metric", made, {key: value for key, value in record.metrics.items() if key in made})
        counts = count_both_right(registry, record, kept)
        known = {key: value for key, value in record.both_right.items() if key in counts}
        return problems + _differences("both_right", {key: counts[key] for key in known}, known)
    except UserError as error:
        return [str(error)]


def _identity(record: Run, held: dict[str, Any]) -> list[str]:
    """Where a record says that it is another run than its options, its pair and its checkpoint say."""
    options, sha256 = record.options, str(record.data.get("sha256"))
    made: dict[str, Any] = {name: options[name] for name in NAMED_TWICE if name in options}
    made["init"] = init_label(options["init"], record.data.get("init", {}))
    made |= {"pair": pair_key(record.experiment, options, sha256)}
    made |= {"setup": pair_key(record.experiment, options, sha256, but=("seed",))} | held
    recorded = identity(record)
    return [
        f"changed: {name} is {recorded[name]} on record, and comes out as {value}"
        for name, value in made.items()
        if value != recorded[name]
    ]


def _pretraining(progress: dict[str, Any]) -> dict[str, Any]:
    last = progress["history"][-1]
    measured = {key.replace("/", "_"): value for key, value in last.items() if key.startswith("val/")}
    return {"loss": last["train/loss_epoch"], "seconds": progress["seconds"], **measured}


def _flat(history: list[dict[str, Any]]) -> dict[str, Any]:
    return {f"{entry['epoch']} {key}": value for entry in history for key, value in entry.items()}


def _differences(what: str, made: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """The values that are not as they were made, in words."""
    unequal = [
        key for key in made | recorded
        if key not in made or key not in recorded or not math.isclose(made[key], recorded[key], rel_tol=SAME, abs_tol=SAME)
    ]  # fmt: skip
    return [f"changed: {what} {key} is {recorded.get(key)} on record, and comes out as {made.get(key)}" for key in unequal]


_load = cache(load_data)


def from_checkpoint(registry: Registry, run: Run, command: RunsVerify) -> list[str]:
    """What an evaluation's weights say of the test images today, where that differs from the accuracy on record."""
    record = registry.load(run)
    if record.experiment == "pretrain":
        return []
    try:
        data = data_of_run(registry, record, command.data_dir, load=_load)
        made = _logits_again(registry, record, data, command)
        kept = read_kept(registry.path(f"{record.folder}/{FILE}"))
    except UserError as error:
        return [str(error)]
    accuracy = float((made.argmax(1) == kept.labels).mean())
    if not np.array_equal(kept.labels, data.test_labels.numpy()[kept.indices]):
        return ["changed: the labels kept beside the logits are not the data set's"]
    if abs(accuracy - record.metrics["test_acc"]) > CLOSE:
        return [f"changed: test_acc is {record.metrics['test_acc']} on record, its weights reach {accuracy}"]
    alike = float((made.argmax(1) == kept.logits.argmax(1)).mean())
    recorded_acc = record.metrics["test_acc"]
    say(f"{record.id}: from its weights {accuracy:.2%}, on record {recorded_acc:.2%}; {alike:.2%} equal predictions")
    return []


def _logits_again(registry: Registry, record: Run, data: ImageData, command: RunsVerify) -> Any:
    """The test images' logits (N, classes), by the classifier in best.pt; of kNN the votes."""
    classifier, artifact = load_classifier(registry, record)
    of = outputs_as_in(record, artifact, choose_device(command.device))
    if record.protocol != "knn":
        return of(classifier, data.test_images).numpy()
    options = record.options
    parts = data.split(seed=options["seed"], label_fraction=options["label_fraction"])
    rows = torch.cat([parts.train, parts.val])
    bank, queries = of(classifier.encoder, chosen(data.train_images, rows)), of(classifier.encoder, data.test_images)
    k, temperature = options["k"], options["temperature"]
    votes = knn_votes(bank, data.train_labels[rows], queries, classes=len(data.classes), k=k, temperature=temperature)
    return votes.numpy()
