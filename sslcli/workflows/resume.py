"""Continue an interrupted run from its last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from sslcli.console.messages import say
from sslcli.distributed import on_first, world
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.naming import WORDS
from sslcli.options.mapping import from_mapping
from sslcli.options.pretrain import Pretrain
from sslcli.plans.data_access import keep_manifest
from sslcli.plans.method_file import hold_to_code
from sslcli.runs.next_step import next_command
from sslcli.runs.paths import located, recorded
from sslcli.runs.registry import Registry
from sslcli.runs.run import EXPERIMENTS, WAITING, Run, called
from sslcli.training.context import Context
from sslcli.training.device import describe, tell_of_speed
from sslcli.workflows.table import WORKFLOWS

MOVABLE = ("data_dir", "device", "download")
"""Options that may change when a run continues: the places of things."""


def resume(
    registry: Registry, selector: str | None, *, data_dir: Path | None, device: str | None, force: bool, if_needed: bool = False
) -> None:
    """Continue the named run, or the newest interrupted one; with `force` even if another machine was running it.

    With `if_needed` a named run that is finished is no error: there is nothing to do.
    """
    if if_needed and selector is not None and on_first(lambda: registry.find(selector).status == "finished"):
        say(f"{selector} is finished; there is nothing to resume")
        return
    chosen = on_first(lambda: _claimed(registry, selector, force=force))
    if world() > 1 and chosen.experiment != "pretrain":
        raise UsageError(f"run {chosen.id} is of {WORDS[chosen.experiment]}; several processes can only resume pretraining")
    moved = {"data_dir": data_dir, "device": device}
    carry_on(registry, chosen, {name: value for name, value in moved.items() if value})
    say(f"next, type: {next_command(registry)}")


def continued(registry: Registry, command: Pretrain) -> Run | None:
    """Continue the pretrain run that `--run` names, unless it is finished; returns its record, or None if there is none."""
    if command.run == "" or command.name not in (None, command.run):
        raise UsageError(f"--run {command.run!r} with --name {command.name!r}: leave --name out; --run names the run")
    run = on_first(lambda: _called(registry, command.run))
    if run is None:
        return None
    _hold_to_record(registry, command, run)
    if run.status == "finished":
        say(f"{run.id} is finished; there is nothing to resume")
    elif command.dry_run:
        say(f"{run.id} is {registry.status(run)} and would continue; to see its options, type: ssl runs show {run.id}")
    else:
        run = carry_on(registry, run, {name: v for name in MOVABLE if (v := getattr(command, name)) not in (None, "auto")})
    say(f"next, type: {next_command(registry)}")
    return run


def _called(registry: Registry, name: str | None) -> Run | None:
    """The record of the newest run with this id or name; a StateError if pretraining cannot continue it."""
    found = called(registry.runs(), name or "")
    if not found:
        return None
    run = found[-1]
    if run.experiment != "pretrain" or run.status == "published":
        raise StateError(
            f"--run {name}: {run.id} is a {run.status} run of {WORDS[run.experiment]}; accepted are a pretrain run made here "
            "and a new name"
        )
    return registry.load(run)


def _hold_to_record(registry: Registry, command: Pretrain, run: Run) -> None:
    """A UsageError if an option differs from the one that the run started with."""
    for name, value in recorded(registry, command.options()).items():
        if command.was_chosen(name) and name not in (*MOVABLE, "name") and value not in (None, "auto", run.options.get(name)):
            option, began_with = "--" + name.replace("_", "-"), run.options.get(name)
            raise UsageError(
                f"{option} {value}: run {run.id} started with {began_with} and keeps it; leave {option} out, or start a "
                "new run with another --run"
            )


def _claimed(registry: Registry, selector: str | None, *, force: bool) -> Run:
    """The run to continue; with `force`, no longer marked as running on another machine."""
    chosen = _chosen(registry, selector)
    if force and registry.elsewhere(chosen):
        return registry.give_up(chosen)
    return chosen


def _chosen(registry: Registry, selector: str | None) -> Run:
    if selector is None:
        for state in ("interrupted", WAITING, "failed"):
            if found := [run for run in registry.runs() if registry.status(run) == state]:
                return found[-1]
        raise StateError(
            f"no run in {registry.root} is interrupted or failed; to see all, type: {registry.command('ssl runs list')}"
        )
    run = registry.find(selector)
    if run.status in ("finished", "published"):
        raise StateError(f"run {run.id} is {run.status}; there is nothing to resume")
    return run


def carry_on(registry: Registry, run: Run, changed: Mapping[str, object]) -> Run:
    """Continue a run of any kind to its end, with the recorded options except for moved places; returns its record."""
    record = on_first(lambda: registry.load(run))
    command = EXPERIMENTS[record.experiment]
    workflow = WORKFLOWS[command]
    on_first(lambda: hold_to_code(registry, record))
    on_first(lambda: _hold_to_parent(registry, record))
    source = str(registry.path(f"{run.folder}/run.yaml"))
    arguments = from_mapping(workflow.kind, located(registry, record.options), source)
    context, options = workflow.prepare(registry, {**arguments, **changed})
    if context.fingerprint != record.data.get("sha256"):
        raise StateError(f"run {run.id}: the data set {options.dataset} has changed since the run started (its sha256 differs)")
    on_first(lambda: keep_manifest(registry, record, context.data))  # it may have been killed before this
    here = describe(context.device)
    if not record.attempts:  # another process entered it, perhaps on another machine
        record.device = here
        on_first(lambda: registry.save(record))
    elif here != record.device:
        say(f"{run.id}: started on {record.device}, continues on {here}: results can differ in the last bits")
    tell_of_speed(context.device, [options.precision], settled=True)
    return workflow.go_on(registry, record, options, as_begun(record, context))


def _hold_to_parent(registry: Registry, record: Run) -> None:
    """A StateError if a run evaluates the encoder of a pretraining that is not finished."""
    parent = registry.find(record.parent, experiment="pretrain") if record.parent else None
    if parent is not None and parent.status not in ("finished", "published"):
        advice = registry.command(f"ssl resume {parent.id}")
        raise StateError(f"run {record.id} needs {parent.id}, which is {registry.status(parent)}; first type: {advice}")


def as_begun(record: Run, context: Context) -> Context:
    """The context with the normalisation from the run's start; runs of earlier versions did not record it."""
    if not {"mean", "std"} <= set(record.data):
        return context
    moments = (torch.tensor(record.data["mean"]), torch.tensor(record.data["std"]))
    return replace(context, data=replace(context.data, moments=moments))
