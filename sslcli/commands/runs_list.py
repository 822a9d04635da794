"""ssl runs list: one row a run. Imports no torch."""

from __future__ import annotations

from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.options.command import RunsList
from sslcli.options.project import open_registry
from sslcli.runs.selection import state_of

LIST_COLUMNS = {
    "run": "run", "experiment": "experiment", "method": "method", "status": "status",
    "name": "name", "study": "study", "dataset": "data set",
    "epochs": "epochs", "at_epoch": "of epoch",
    "val_knn": "val kNN", "test_acc": "test accuracy", "parent": "parent", "created": "created",
}  # fmt: skip


def list_runs(command: RunsList) -> None:
    """Print one row a run."""
    registry = open_registry(command)
    runs = [run for run in registry.runs() if command.experiment in (None, run.experiment)]
    if not runs:
        say(f"no runs in {registry.root} yet; to make some, type: {registry.command('ssl study')}")
    rows = [
        {key: getattr(run, key, None) for key in LIST_COLUMNS}
        | {"run": run.id, "method": run.encoder_method, "status": state_of(registry, run), "created": (run.created or "")[:19]}
        | {key: run.metrics.get(key) for key in ("val_knn", "test_acc", "best_test_acc")}
        for run in runs
    ]
    if runs or command.format != "table":
        print_rows(rows, LIST_COLUMNS, style=command.format)
