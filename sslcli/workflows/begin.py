"""From the options of ssl pretrain, probe and finetune to a finished run."""

from __future__ import annotations

from sslcli.bench.cost import Costs
from sslcli.bench.minutes import settle_minutes
from sslcli.console.progress import duration
from sslcli.errors import UsageError
from sslcli.options.finetune import Finetune
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import EvaluationT, OptionsT
from sslcli.plans.few_labels import tell_of_width
from sslcli.plans.folds import tell_of_copies
from sslcli.plans.pretraining import plan
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.workflows.resume import continued
from sslcli.workflows.start import start
from sslcli.workflows.table import FINETUNE, PRETRAIN, PROBE, Workflow


def pretrain(registry: Registry, command: Pretrain) -> Run | None:
    """Start a new run, or continue the one that --run names; returns its record. With --dry-run only print the plan: None."""
    if command.run is not None:
        if (begun := continued(registry, command)) is not None:
            return begun
        command = command.because("--run", name=command.run)
    if command.dry_run:
        _show_plan(registry, command)
        return None
    return _begun(PRETRAIN, registry, command)


def _show_plan(registry: Registry, command: Pretrain) -> None:
    """Print every option with its origin, and the expected time from a few timed steps."""
    costs = Costs()
    settled = plan(registry, command, settle_minutes=settle_minutes, load=costs.load)
    options = settled.options
    for name, value in options.options().items():
        print(f"{name:17} {value!s:22} {options.origins.get(name, 'default')}")
    cost = costs.of(settled)
    print(f"\n{cost.steps} steps, {cost.epoch_steps} an epoch: about {duration(cost.seconds)} here, measured on a few steps")


def finetune(registry: Registry, command: Finetune) -> Run:
    """Start a new run and carry it out; returns its finished record."""
    return _evaluated(FINETUNE, registry, command)


def probe(registry: Registry, command: Probe) -> Run:
    """Start a new run and carry it out; returns its finished record."""
    for name, protocols in command.foreign().items():
        option, whose = f"--{name.replace('_', '-')} {getattr(command, name)}", " and ".join(protocols)
        raise UsageError(f"{option}: belongs to {whose}; with --protocol {command.protocol} leave it out")
    return _evaluated(PROBE, registry, command)


def _evaluated(workflow: Workflow[EvaluationT], registry: Registry, command: EvaluationT) -> Run:
    plan = workflow.plan(registry, command)
    folds = plan.options.folds if isinstance(plan.options, Probe) else None
    tell_of_width(plan.context.data, folds=folds, labels=plan.options.labels)
    if folds is not None:
        tell_of_copies(registry, plan.context.data, plan.options)
    return start(registry, plan, workflow.carry_out)


def _begun(workflow: Workflow[OptionsT], registry: Registry, command: OptionsT) -> Run:
    return start(registry, workflow.plan(registry, command), workflow.carry_out)
