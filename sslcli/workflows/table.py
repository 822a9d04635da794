"""The table of trainings, by command: how each is settled and carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, cast

from sslcli.bench.minutes import settle_minutes
from sslcli.data.loading import load_data
from sslcli.options.finetune import Finetune
from sslcli.options.mapping import build
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import TRAININGS, OptionsT, TrainingOptions
from sslcli.plans import evaluating as evaluation_plan
from sslcli.plans import pretraining as pretraining_plan
from sslcli.plans.data_access import Load
from sslcli.plans.plan import Plan
from sslcli.plans.settling import prepare
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.workflows import evaluating, pretraining


class Planning(Protocol[OptionsT]):
    """A function that settles a command; `load` loads its data."""

    def __call__(self, registry: Registry, command: OptionsT, /, *, load: Load = load_data) -> Plan[OptionsT]:
        """The plan of the command."""


@dataclass(frozen=True)
class Workflow(Generic[OptionsT]):
    """`plan(registry, command)` settles a command; `carry_out(registry, run, options, context)` trains its run to the end.

    `command` is the name of the command.
    """

    command: str
    plan: Planning[OptionsT]
    carry_out: Callable[[Registry, Run, OptionsT, Context], Run]

    @property
    def kind(self) -> type[OptionsT]:
        """The class of its options."""
        return cast(type[OptionsT], TRAININGS[self.command])  # both tables use the same name

    def settle(
        self, registry: Registry, values: Mapping[str, object], *, origin: str, load: Load = load_data
    ) -> Plan[OptionsT]:
        """The plan of a training with these option values, which come from `origin`."""
        return self.plan(registry, self.kind().because(origin, **values), load=load)

    def prepare(self, registry: Registry, values: Mapping[str, object]) -> tuple[Context, OptionsT]:
        """The context and the options of a training that was settled before; `values` are its recorded options."""
        return prepare(registry, build(self.kind, values))

    def go_on(self, registry: Registry, run: Run, options: TrainingOptions, context: Context) -> Run:
        """`carry_out` with options from `settle` or `prepare` of the same workflow."""
        own = cast(OptionsT, options)  # `settle` and `prepare` return only these
        return self.carry_out(registry, run, own, context)


PRETRAIN = Workflow("pretrain", partial(pretraining_plan.plan, settle_minutes=settle_minutes), pretraining.carry_out)
PROBE = Workflow[Probe]("probe", evaluation_plan.plan, evaluating.carry_out)
FINETUNE = Workflow[Finetune]("finetune", evaluation_plan.plan, evaluating.carry_out)
AnyWorkflow = Workflow[Pretrain] | Workflow[Probe] | Workflow[Finetune]
WORKFLOWS: dict[str, AnyWorkflow] = {workflow.command: workflow for workflow in (PRETRAIN, PROBE, FINETUNE)}
