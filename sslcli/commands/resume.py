"""ssl resume: an interrupted run goes on from its last checkpoint."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sslcli import config
from sslcli.commands.common import prepare
from sslcli.commands.project import next_command, open_registry, say
from sslcli.config import Resume, from_mapping
from sslcli.errors import StateError
from sslcli.registry import Registry, Run

KINDS = {
    "pretrain": (config.Pretrain, "sslcli.commands.pretrain"),
    "linear_eval": (config.Probe, "sslcli.commands.probe"),
    "finetune": (config.Finetune, "sslcli.commands.finetune"),
}


def run(command: Resume) -> None:
    """Go on with the run that was named, or the newest interrupted one."""
    registry = open_registry(command)
    carry_on(registry, _chosen(registry, command.run))
    say(f"next, type: {next_command(registry)}")


def _chosen(registry: Registry, selector: str | None) -> Run:
    if selector is None:
        stopped = [run for run in registry.runs() if registry.status(run) == "interrupted"]
        if not stopped:
            raise StateError(f"no run in {registry.root} is interrupted; to see all, type: ssl runs list")
        return stopped[-1]
    run = registry.find(selector)
    if run.status in ("finished", "published"):
        raise StateError(f"run {run.id} is {run.status}: there is nothing to go on with")
    return run


def carry_on(registry: Registry, run: Run) -> Run:
    """Go on with a run of any kind, with the options on record."""
    record = registry.load(run)
    kind, module = KINDS[record.experiment]
    source = str(registry.path(f"{run.folder}/run.yaml"))
    arguments: dict[str, Any] = from_mapping(kind, record.options, source)
    if arguments.get("data_dir"):
        arguments["data_dir"] = registry.root / Path(arguments["data_dir"])
    setting, options = prepare(registry, kind(**arguments))
    if setting.fingerprint != record.data.get("sha256"):
        raise StateError(f"run {run.id}: the data set {options.dataset} is not what the run began with (its sha256 is another)")
    finished: Run = importlib.import_module(module).carry_out(registry, record, options, setting)
    return finished
