"""ssl resume: an interrupted run goes on from its last checkpoint."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sslcli.commands.common import prepare, tell_of_speed
from sslcli.commands.project import next_command, open_registry, say
from sslcli.config import TRAININGS, Resume, from_mapping
from sslcli.errors import StateError
from sslcli.registry import EXPERIMENTS, Registry, Run
from sslcli.training.device import describe


def run(command: Resume) -> None:
    """Go on with the run that was named, or the newest interrupted one."""
    registry = open_registry(command)
    chosen = _chosen(registry, command.run)
    if command.force and registry.elsewhere(chosen):
        chosen = registry.load(chosen)
        chosen.status = "interrupted"
        registry.save(chosen)
    carry_on(registry, chosen, {name: value for name in ("data_dir", "device") if (value := getattr(command, name))})
    say(f"next, type: {next_command(registry)}")


def _chosen(registry: Registry, selector: str | None) -> Run:
    if selector is None:
        for status in ("interrupted", "failed"):
            stopped = [run for run in registry.runs() if registry.status(run) == status]
            if stopped:
                return stopped[-1]
        raise StateError(
            f"no run in {registry.root} is interrupted or failed; to see all, type: {registry.command('ssl runs list')}"
        )
    run = registry.find(selector)
    if run.status in ("finished", "published"):
        raise StateError(f"run {run.id} is {run.status}: there is nothing to go on with")
    return run


def carry_on(registry: Registry, run: Run, changed: dict[str, Any]) -> None:
    """Go on with a run of any kind, with the options on record but for what has moved since."""
    record = registry.load(run)
    command = EXPERIMENTS[record.experiment]
    kind = TRAININGS[command]
    source = str(registry.path(f"{run.folder}/run.yaml"))
    arguments: dict[str, Any] = from_mapping(kind, record.options, source)
    if arguments.get("data_dir"):
        arguments["data_dir"] = registry.root / Path(arguments["data_dir"])
    setting, options = prepare(registry, kind(**{**arguments, **changed}))
    if setting.fingerprint != record.data.get("sha256"):
        raise StateError(f"run {run.id}: the data set {options.dataset} is not what the run began with (its sha256 is another)")
    if (here := describe(setting.device)) != record.device:
        say(f"{run.id}: began on {record.device}, goes on on {here}: the last bits may differ from those of an undisturbed run")
    tell_of_speed(setting.device, None)  # the run's precision stays as it is
    importlib.import_module(f"sslcli.commands.{command}").carry_out(registry, record, options, setting)
