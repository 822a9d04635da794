"""ssl runs list: one row per run. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from typer import Option

from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.options.annotations import Format
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.selection import state_of


@dataclass(frozen=True, kw_only=True)
class RunsList(Command):
    """List the runs, oldest first."""

    only_reads: ClassVar[bool] = True
    experiment: Annotated[
        Literal["pretrain", "linear_eval", "knn", "finetune"] | None, Option(help="Only runs of this kind.")
    ] = None
    format: Format = "table"


LIST_COLUMNS = {
    "run": "run", "experiment": "experiment", "method": "method", "status": "status",
    "name": "name", "study": "study", "dataset": "data set",
    "epochs": "epochs", "at_epoch": "of epoch",
    "val_knn": "val kNN", "test_acc": "test accuracy", "parent": "parent", "created": "created",
}  # fmt: skip


def run(command: RunsList) -> None:
    """Print one row per run."""
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
