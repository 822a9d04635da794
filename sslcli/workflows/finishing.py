"""Finish the run of an evaluation: save the test logits, compute the metrics, write best.pt."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.errors import DivergedError, StateError, UsageError
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.protocols.protocol import Outcome
from sslcli.evaluation.quality import headline
from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.models.encoder import weights_hash
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import State, save_checkpoint
from sslcli.training.context import Context
from sslcli.training.loop import Metrics, Progress

MOST = 100  # runs, at most, whose agreement with a new run is counted
COUNTED = ("running", "finished")


def finish(registry: Registry, run: Run, context: Context, outcome: Outcome) -> None:
    """Save the test logits, count the images that other runs have right too, and write best.pt: encoder, head and metrics.

    test_acc is that of the epoch that validation chose. best_test_acc is the best over epochs, as in the original study; the
    test images choose it.
    """
    classifier, progress, labels = outcome.classifier, outcome.progress or Progress(), context.data.test_labels
    logits = outcome.test_logits.float().cpu().numpy()
    kept = Kept(logits, labels.cpu().numpy(), np.arange(len(labels)))
    run.metrics = figures_of(kept, run.protocol, progress.history) | outcome.figures
    if progress.best:
        run.metrics |= {"val_acc": progress.best["metrics"]["val/acc"], "epoch": progress.best["metrics"]["epoch"]}
    run.metrics |= {"seconds": progress.seconds} if progress.seconds else {}
    if broken := next((name for name, value in run.metrics.items() if value != value), None):
        run.metrics = {}  # a record with it could not be read
        raise DivergedError(f"{run.id}: {broken} is not a number: the classifier or its encoder diverged; try a lower rate")
    keep(registry.path(f"{run.folder}/{FILE}"), kept)
    run.both_right = count_both_right(registry, run, kept)
    run.data |= {"encoder_sha256": weights_hash(classifier.encoder), "classes": list(context.data.classes)}
    mean, std = context.data.normalisation
    artifact: State = {
        "model": _on_cpu(classifier),
        "backbone": run.settled["backbone"],
        "stem": run.settled["stem"],
        "classes": list(context.data.classes),
        "image_size": context.data.image_size,
        "kept_size": context.data.kept_size,
        "fit": context.data.fit,
        "mean": mean.cpu(),
        "std": std.cpu(),
        "run": identity(run),
        "metrics": {name: value for name, value in run.metrics.items() if name != "seconds"},
    }
    save_checkpoint(registry, run, "best", artifact)


def identity(run: Run) -> dict[str, object]:
    """The identity of an evaluation in plain data; best.pt holds it too, so that two files cannot be confused."""
    names = ("experiment", "protocol", "init", "parent", "at_epoch", "dataset", "backbone", "seed", "label_fraction", "epochs",
             "pair", "setup")  # fmt: skip
    return {name: getattr(run, name) for name in names} | {"data": run.data.get("sha256")}


def figures_of(kept: Kept, protocol: str | None, history: list[Metrics]) -> Metrics:
    """The metrics from test logits and history, which `ssl runs verify --numbers` recomputes.

    Likelihood and calibration are left out if the outputs are not probabilities, as with kNN's vote fractions.
    """
    test_acc = int(kept.right.sum()) / len(kept.labels)
    found: Metrics = {"test_acc": test_acc, "test_images": len(kept.labels)}
    if history:
        found["best_test_acc"] = max(epoch["test/acc"] for epoch in history)
    no_probabilities = protocol in PROTOCOLS and not PROTOCOLS[protocol].probabilities
    return found if no_probabilities else found | headline(kept.logits, kept.labels)


def kin_of(registry: Registry, run: Run) -> list[Run]:
    """The other runs of the same setup and study that are finished, or are running and may have saved their logits."""
    try:
        runs = registry.runs()
    except UsageError:  # the index is damaged now: it can be rebuilt, this training cannot
        return []
    return [r for r in runs if (r.setup, r.study) == (run.setup, run.study) and r.status in COUNTED and r.id != run.id]


def count_both_right(registry: Registry, run: Run, kept: Kept) -> dict[str, int]:
    """For the newest MOST runs of `kin_of`, by id: the number of test images that both they and this run have right.

    Each run saves its logits before it counts, so if two finish together, one counts the other. Runs whose logits cannot be
    read, or are of other images, are left out.
    """
    found = {}
    for other in kin_of(registry, run)[-MOST:]:
        try:
            theirs = read_kept(registry.path(f"{other.folder}/{FILE}"))
        except StateError:  # `ssl runs verify --numbers` reports it; this run is not affected
            continue
        if np.array_equal(theirs.indices, kept.indices):
            found[other.id] = int((theirs.right & kept.right).sum())
    return found


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}


def report(run: Run) -> None:
    """Print the accuracies and the files written."""
    names = {
        "test accuracy": "test_acc", "best over epochs": "best_test_acc", "validation": "val_acc",
        "all labelled images, in folds": "folds_acc",
    }  # fmt: skip
    shown = {words: run.metrics[name] for words, name in names.items() if name in run.metrics}
    trained = f" (epoch {run.metrics['epoch']} of {run.epochs:g}, {duration(run.metrics['seconds'])})" if run.history else ""
    print(f"{run.id}: {accuracies(shown)}{trained}")
    say(f"wrote {run.checkpoint}, {run.folder}/{FILE} and {run.folder}/run.yaml")


def accuracies(metrics: Metrics) -> str:
    """Accuracies in words."""
    return ", ".join(f"{name} {value:.2%}" for name, value in metrics.items())
