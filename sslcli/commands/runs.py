"""ssl runs: list, show, note, rebuild, rm. Imports no torch."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import Any

import typer
import yaml

from sslcli.console.tables import print_rows
from sslcli.errors import StateError, UsageError
from sslcli.files import Dumper
from sslcli.options.command import RunsList, RunsNote, RunsRebuild, RunsRm, RunsShow
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import open_registry, say

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
        | {"run": run.id, "method": run.encoder_method, "status": _state(registry, run), "created": (run.created or "")[:19]}
        | {key: run.metrics.get(key) for key in ("val_knn", "test_acc", "best_test_acc")}
        for run in runs
    ]
    if runs or command.format != "table":
        print_rows(rows, LIST_COLUMNS, style=command.format)


def _state(registry: Registry, run: Run) -> str:
    """The run's status, and of one that another machine runs where and when it was seen."""
    return " ".join(filter(None, (registry.status(run), registry.elsewhere(run))))


def show(command: RunsShow) -> None:
    """Print a run's record: as YAML, or in another form."""
    registry = open_registry(command)
    record = registry.load(registry.find(command.run))
    content = {key: value for key, value in asdict(record).items() if value not in (None, {}, [])}
    content["status"] = _state(registry, record)
    if command.format == "table":
        print(yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=False, width=120), end="")
    elif command.format == "json":
        print(json.dumps(content, indent=2))
    else:
        rows = [{"field": name, "value": value} for name, value in _flat(content)]
        print_rows(rows, {"field": "field", "value": "value"}, style=command.format)


def _flat(content: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings and lists as (dotted name, value) pairs."""
    if not isinstance(content, (dict, list)):
        return [(prefix, content)]
    items = content.items() if isinstance(content, dict) else enumerate(content)
    return [pair for key, value in items for pair in _flat(value, f"{prefix}.{key}" if prefix else str(key))]


def note(command: RunsNote) -> None:
    """Put a note on a run."""
    registry = open_registry(command)
    record = registry.load(registry.find(command.run))
    if registry.status(record) == "running":
        raise StateError(f"run {record.id} is running and keeps its own record; wait for it, or stop it")
    record.note = command.text or None
    registry.save(record)
    print(f"{record.id}: note {'written' if command.text else 'removed'}")


def rebuild(command: RunsRebuild) -> None:
    """Make the index anew, and say what could not be taken in."""
    registry = open_registry(command)
    runs, problems = registry.rebuild()
    for problem in problems:
        say(f"ssl: {problem}")
    print(f"{registry.index}: {len(runs)} runs")
    if problems:
        raise StateError(f"{len(problems)} problems: what is named above could not be taken in")


def remove(command: RunsRm) -> None:
    """Delete a run after asking; one that others descend from only with --cascade."""
    registry = open_registry(command)
    doomed = descendants(registry, registry.find(command.run))
    names = ", ".join(run.id for run in doomed)
    if len(doomed) > 1 and not command.cascade:
        raise StateError(f"{names}: the first is the parent of the others; to delete all of them, add --cascade")
    for run in doomed:
        if registry.path(run.folder) != registry.root.resolve() / run.folder:
            raise UsageError(f"{run.folder} is a link to {registry.path(run.folder)}: only folders under runs/ are deleted")
        if registry.status(run) == "running":
            raise StateError(f"run {run.id} is running; stop it first")
    if not command.yes and not _agreed(f"Delete {names}?"):
        raise StateError("nothing was deleted; to delete without being asked, add --yes")
    registry.remove({run.id for run in doomed})
    for run in doomed:
        if (folder := registry.root / run.folder).exists():
            shutil.rmtree(folder)
    print(f"deleted {names}")


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def descendants(registry: Registry, ancestor: Run) -> list[Run]:
    """A run and all whose parents lead to it, itself first."""
    found = [ancestor]
    for run in registry.runs():  # oldest first, so a parent comes before its children
        if run.parent in {other.id for other in found}:
            found.append(run)
    return found
