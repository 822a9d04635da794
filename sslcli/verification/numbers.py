"""Check a record against its checkpoints and test logits, and these against weights and data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sslcli.console.messages import say
from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import read_manifest, tested_but_seen
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.data.on_disk import chosen
from sslcli.errors import UserError
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.protocols import protocol_named
from sslcli.evaluation.represented import Represented
from sslcli.evaluation.test_logits import FILE, IN_FOLDS, Kept, figures_in_folds, read_kept
from sslcli.models.encoder import tensors_hash
from sslcli.options.pairing import NOT_IN_PAIR
from sslcli.plans.data_access import data_of_run
from sslcli.plans.pretraining import kept_name
from sslcli.runs.proofs import Evidence, by_name, changed, unproven, unsealed
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import State, encoder_in, load_checkpoint
from sslcli.training.device import choose_device
from sslcli.training.loop import measured
from sslcli.verification.records import by_itself, file_of
from sslcli.workflows.finishing import MOST, count_both_right, figures_of, kin_of

SAME = 1e-9  # tolerance for metrics from the same logits
ROUNDED = 1e-6  # tolerance for values computed in float32
CLOSE = 0.002  # tolerance for an accuracy from weights and data: another machine rounds differently
_load = cache(load_data)


class Prover:
    """Checks the records of a project against their checkpoints and logits; encoders of parents are read once."""

    def __init__(self, registry: Registry, *, from_checkpoint: bool, data_dir: Path | None, device: str) -> None:
        self.registry, self.from_checkpoint = registry, from_checkpoint
        self.data_dir, self.device = data_dir, device
        self._parents: dict[tuple[str, int | None], str | None] = {}

    def look(self, run: Run) -> tuple[list[str], list[str]]:
        """What in a run's record contradicts its files, in words; and what an earlier version left unproven."""
        try:
            record = self.registry.load(run)
            done = replace(record, status="finished") if record.status == "published" else record
            if done.status != "finished" and "last.pt" not in done.checkpoints:
                return [], []  # it stopped before its first checkpoint
            states = {file: load_checkpoint(self.registry, done, file.removesuffix(".pt")) for file in _wanted(done)}
            evidence = self._evidence(done, states)
            problems = changed(record, [by_itself(record), *evidence])
            if done.status == "finished" and self.from_checkpoint:
                problems += from_checkpoint(self.registry, done, self.data_dir, self.device)
            old = "record" not in states[file_of(done)]
            return problems, unproven(record, evidence) if old else []
        except UserError as error:
            return [str(error)], []

    def _evidence(self, record: Run, states: dict[str, State]) -> list[Evidence]:
        held = states.get("last.pt", {})
        if record.status != "finished":
            return [*of_copy(record, held), *of_training(held, whole=False)]
        if record.experiment == "pretrain":
            return [*of_copy(record, held), *of_training(held), *of_pretraining(record, held)]
        best = states["best.pt"]
        kept = read_kept(self.registry.path(f"{record.folder}/{FILE}"))
        return [*of_copy(record, best), *of_best(record, best, held), *of_training(held), *self._of_parent(record),
                *of_logits(self.registry, record, kept, held, all_kin="record" not in best),
                *of_folds(self.registry, record)]  # fmt: skip

    def _of_parent(self, record: Run) -> list[Evidence]:
        """Evidence from the pretrain run about an evaluation: the frozen encoder, and the test pictures that it had seen."""
        found = [Evidence("parent", {"data.encoder_sha256": sha256})] if (sha256 := self.frozen_sha256(record)) else []
        lists = [self.registry.path(f"runs/{place}/{MANIFEST}") for place in
                 (f"pretrain/{record.parent}", f"{record.experiment}/{record.id}")]  # fmt: skip
        if record.parent and all(path.exists() for path in lists):
            count = tested_but_seen(*map(read_manifest, lists))
            found.append(Evidence("pictures", {"data.test_seen_in_pretraining": count}))
        return found

    def frozen_sha256(self, record: Run) -> str | None:
        """The sha256 of the encoder that an evaluation took from its parent and froze; None if it is not here."""
        if record.parent is None or not protocol_named(record.protocol, record.experiment).frozen:
            return None
        key = record.parent, record.at_epoch
        if key not in self._parents:
            name = "last" if record.at_epoch is None else kept_name(record.at_epoch)
            try:
                parent = self.registry.load(self.registry.find(record.parent, experiment="pretrain"))
                self._parents[key] = _encoder_hash(load_checkpoint(self.registry, parent, name))
            except UserError:  # reported for that run itself, or it was deleted
                self._parents[key] = None
        return self._parents[key]


def _wanted(record: Run) -> set[str]:
    """The checkpoints that are evidence for a record."""
    return {file_of(record)} | ({"last.pt"} & set(record.checkpoints))


def _encoder_hash(state: State) -> str:
    return tensors_hash(encoder_in(state))


def of_copy(record: Run, held: State) -> list[Evidence]:
    """Evidence from a checkpoint's copy of the record; the record of an unfinished run has changed since."""
    if "record" not in held:
        return []
    copy = unsealed(held["record"], f"the copy in the checkpoint of run {record.id}")
    whole = tuple(copy)
    if record.status != "finished":
        copy, whole = {name: value for name, value in copy.items() if name not in ("attempts", "both_right")}, ()
    elif record.experiment == "pretrain":  # it may have been killed after its last checkpoint
        whole = tuple(name for name in whole if name != "attempts")
    return [Evidence("checkpoint", by_name(copy, attempts=len(record.attempts)), whole)]


def of_best(record: Run, best: State, held: State) -> list[Evidence]:
    """Evidence from an evaluation's best.pt beside the copy of the record, which earlier versions did not write."""
    identity = {"data.sha256" if name == "data" else name: value for name, value in best.get("run", {}).items()}
    keyed = tuple(f"options.{name}" for name in record.options if name not in NOT_IN_PAIR) if "pair" in identity else ()
    read = {name: best[name] for name in ("image_size", "kept_size", "fit", "classes") if name in best}
    moments = {name: best[name].tolist() for name in ("mean", "std")}
    net = {f"options.{name}": best[name] for name in ("backbone", "stem")}
    found = [
        Evidence("checkpoint", identity | net, hashed=keyed),
        Evidence("checkpoint", by_name({"data": read | moments}, attempts=0), within=ROUNDED),
        Evidence("weights", {"data.encoder_sha256": _encoder_hash(best)}),
    ]
    if "metrics" in best:
        clock = {"seconds": held["progress"]["seconds"]} if held else {}
        found.append(Evidence("checkpoint", by_name({"metrics": best["metrics"] | clock}, attempts=0), ("metrics",)))
    return found


def of_training(held: State, *, whole: bool = True) -> list[Evidence]:
    """Evidence about the history from the state of a training; without a state there was no training by steps."""
    history = held["progress"]["history"] if held else []
    return [Evidence("training", by_name({"history": history}, attempts=0), ("history",) if whole else (), within=SAME)]


def of_pretraining(record: Run, held: State) -> list[Evidence]:
    """Evidence from the last epoch about the metrics, and about whether it was the final one."""
    last = held["progress"]["history"][-1]
    figures = {"loss": last["train/loss_epoch"], "seconds": held["progress"]["seconds"], **measured(last)}
    ended = record.epochs is None or last["epoch"] >= record.epochs
    values = by_name({"metrics": figures}, attempts=0) | ({} if ended else {"status": "interrupted"})
    return [Evidence("training", values, ("metrics",), within=SAME)]


def of_logits(registry: Registry, record: Run, kept: Kept, held: State, *, all_kin: bool) -> list[Evidence]:
    """Evidence from the test logits. `all_kin`: also about runs that neither record names, as for the later of the two."""
    history = held["progress"]["history"] if held else []
    made = figures_of(kept, record.protocol, history)
    counts, kin = count_both_right(registry, record, kept), kin_of(registry, record)
    asked = all_kin and len(kin) <= MOST  # of more only the newest were counted
    missing = {
        run.id for run in kin if asked and record.id not in run.both_right and (run.created or "") < (record.created or "")
    }
    told = {run: count for run, count in counts.items() if run in record.both_right or (run in missing)}
    return [Evidence("logits", by_name({"metrics": made, "both_right": told}, attempts=0), within=SAME)]


def of_folds(registry: Registry, record: Run) -> list[Evidence]:
    """Evidence from the logits of the folds, if there are any."""
    if "folds_acc" not in record.metrics:  # if it was deleted, the checkpoint's copy of the record tells
        return []
    kept = read_kept(registry.path(f"{record.folder}/{IN_FOLDS}"))
    return [Evidence("logits", by_name({"metrics": figures_in_folds(kept)}, attempts=0), within=SAME)]


def from_checkpoint(registry: Registry, record: Run, data_dir: Path | None, device: str) -> list[str]:
    """The accuracy on the test images, recomputed from the weights, if it differs from the recorded one."""
    if record.experiment == "pretrain":
        return []
    try:
        data = data_of_run(registry, record, data_dir, load=_load)
        made = _logits_again(registry, record, data, device)
        kept = read_kept(registry.path(f"{record.folder}/{FILE}"))
    except UserError as error:
        return [str(error)]
    labels = data.test_labels.numpy()
    inside = (kept.indices >= 0) & (kept.indices < len(labels))
    if len(kept.labels) != len(made) or not inside.all() or not np.array_equal(kept.labels, labels[kept.indices]):
        return ["changed: the labels kept beside the logits are not the data set's"]
    accuracy = float((made.argmax(1) == kept.labels).mean())
    if abs(accuracy - record.metrics["test_acc"]) > CLOSE:
        return [f"changed: test_acc is recorded as {record.metrics['test_acc']}, but its weights reach {accuracy}"]
    alike = float((made.argmax(1) == kept.logits.argmax(1)).mean())
    recorded_acc = record.metrics["test_acc"]
    say(f"{record.id}: recomputed from its weights {accuracy:.2%}, recorded {recorded_acc:.2%}; {alike:.2%} equal predictions")
    return []


def _logits_again(registry: Registry, record: Run, data: ImageData, device: str) -> Any:
    """The test images' logits (N, classes) from the classifier in best.pt; for kNN the logarithms of the votes."""
    classifier, artifact = load_classifier(registry, record)
    of = outputs_as_in(record, artifact, choose_device(device))
    protocol, encoder = protocol_named(record.protocol, record.experiment), classifier.encoder
    if protocol.logits is None:
        return of(classifier, data.test_images).numpy()
    parts = data.split(seed=record.settled["seed"], label_fraction=record.settled["label_fraction"])
    train, val = (of(encoder, chosen(data.train_images, rows)) for rows in (parts.train, parts.val))
    train_labels, val_labels = (data.train_labels[rows] for rows in (parts.train, parts.val))
    h = Represented(train, train_labels, val, val_labels, of(encoder, data.test_images), data.test_labels, parts.train,
                    *standardisation(train), len(data.classes))  # fmt: skip
    return protocol.logits(h, protocol.own(record.options)).numpy()
