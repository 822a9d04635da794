"""The trainings by the command that makes them: how each is settled, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sslcli.bench.minutes import fit_to_minutes
from sslcli.plans import finetuning as finetuning_plan
from sslcli.plans import pretraining as pretraining_plan
from sslcli.plans import probing as probing_plan
from sslcli.plans.plan import Plan
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.workflows import finetuning, pretraining, probing


@dataclass(frozen=True)
class Workflow:
    """`plan(registry, command)` settles a command; `carry_out(registry, run, options, context)` trains its run to the end."""

    plan: Callable[[Registry, Any], Plan]
    carry_out: Callable[[Registry, Run, Any, Context], Run]


WORKFLOWS = {
    "pretrain": Workflow(partial(pretraining_plan.plan, fit_to_minutes=fit_to_minutes), pretraining.carry_out),
    "probe": Workflow(probing_plan.plan, probing.carry_out),
    "finetune": Workflow(finetuning_plan.plan, finetuning.carry_out),
}
