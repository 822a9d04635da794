"""A study as a list of jobs: all are entered into the registry before one is trained, with their needs and minutes."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sslcli.bench.cost import Costs
from sslcli.bench.minutes import settle_minutes
from sslcli.console.messages import say
from sslcli.console.progress import about, duration
from sslcli.console.tables import print_rows
from sslcli.errors import UsageError
from sslcli.options.presets import over_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import TRAININGS, OptionsT, TrainingOptions
from sslcli.plans import evaluating, pretraining
from sslcli.plans.plan import Plan
from sslcli.runs.registry import Registry
from sslcli.runs.run import WAITING, Run
from sslcli.studies.hands import Hands, at_work
from sslcli.studies.jobs import Part, key_of, runs_of
from sslcli.studies.places.place import Job
from sslcli.studies.settled import settled_before
from sslcli.studies.states import FINISHED
from sslcli.training.recipe import total_steps
from sslcli.workflows.start import new_run

BUDGET = 0.5  # seconds for the repeats of each timing


COLUMNS = {"job": "job", "needs": "needs", "device": "device", "minutes": "minutes"}


@dataclass(frozen=True)
class Listed:
    """A job of a study, and its run as it is entered."""

    job: Job
    run: Run


def list_jobs(
    hands: Hands, study: str, parts: Sequence[Part], *, elsewhere: bool = False, timed: bool = True, alone: bool = False
) -> list[Listed]:
    """Every job of a study, in an order in which no job comes before one that it needs. New runs are entered.

    `elsewhere`: the jobs run on other machines, so they are settled on this one's CPU. `timed`: with the expected minutes of
    each unfinished one, from a few timed steps of each kind on this machine. `alone`: one process does them all, and so starts
    and reads the data once, for the first.
    """
    costs = Costs(budget=BUDGET)
    with hands.entering():
        entering = _Entering(hands.registry, study, costs, elsewhere=elsewhere)
        found = {listed.run.id: (listed, plan) for part in parts for listed, plan in entering.part(part)}
        if not hands.others():
            _remove_unwanted(hands.registry, entering.before, found.keys())
    costs.in_part = True
    if not timed:
        return [listed for listed, _ in found.values()]
    begun, jobs = False, []
    for listed, plan in found.values():
        minutes = _minutes(listed, plan, costs, begun=alone and begun)
        begun = begun or minutes is not None
        jobs.append(replace(listed, job=replace(listed.job, minutes=minutes)))
    return jobs


def print_jobs(registry: Registry, study: str, parts: Sequence[Part], *, elsewhere: bool, alone: bool, style: str) -> None:
    """Enter the runs of a study, and print the list of its jobs; JSON has each job's command too. Nothing is trained."""
    with at_work(registry) as hands:
        listed = list_jobs(hands, study, parts, elsewhere=elsewhere, alone=alone)
    whole = [
        asdict(entry.job) | {"status": registry.status(entry.run), "command": entry.job.words(registry.root)}
        for entry in listed
    ]
    rows = [asdict(entry.job) | {"job": entry.run.id, "needs": ", ".join(entry.job.needs), "minutes": _minutes_in_words(entry)}
            for entry in listed]  # fmt: skip
    print_rows(rows, COLUMNS, style=style, whole=whole)
    total = sum(entry.job.minutes or 0 for entry in listed)
    say(f"{len(listed)} jobs, about {duration(60 * total)} one after the other; nothing was trained")


def _minutes_in_words(listed: Listed) -> str:
    if listed.job.minutes is not None:
        return about(listed.job.minutes)
    return FINISHED if listed.run.status == FINISHED else "not measured"


def _minutes(listed: Listed, plan: Plan[TrainingOptions], costs: Costs, *, begun: bool) -> float | None:
    """The expected minutes of an unfinished job, in a process that has `begun` without starting; None if not measured here."""
    if listed.run.status == FINISHED or listed.job.device not in ("auto", plan.context.device.type):
        return None
    if not isinstance(plan.options, Pretrain):  # a random encoder costs the same
        plan = replace(plan, options=plan.options.because("costs the same", init="scratch"))
    cost = costs.of(plan)
    return (cost.working if begun else cost.seconds) / 60


class _Entering:
    """Enters the runs of one study; data are loaded once."""

    def __init__(self, registry: Registry, study: str, costs: Costs, *, elsewhere: bool) -> None:
        self.registry, self.study, self.costs, self.elsewhere = registry, study, costs, elsewhere
        self.before = runs_of(registry, study)
        self._known = {key_of(run): run for run in self.before}

    def part(self, part: Part) -> Iterator[tuple[Listed, Plan[TrainingOptions]]]:
        """A pretraining, and its evaluations."""
        arguments, choices = settled_before(self.registry, self.before, {**part.pretraining, "seed": part.seed})
        command = self._for_here(Pretrain().because(f"study {self.study}", **arguments))
        plan = pretraining.plan(self.registry, command, settle_minutes=settle_minutes, load=self.costs.load)
        plan = replace(plan, choices=plan.choices | choices | part.choices)
        pretrained = self._entered(plan, str(arguments.get("device", "auto")))
        yield pretrained, plan
        parent = self.registry.load(pretrained.run)
        probes = [step for step in part.evaluations if step[0] == "probe"]
        for kind, values in [*part.evaluations, *(over_time(probes, _epochs_to_keep(plan)) if part.whole else [])]:
            evaluation = self._evaluation(kind, {**values, "seed": part.seed}, parent)
            yield self._entered(evaluation, str(values.get("device", "auto"))), evaluation

    def _evaluation(self, kind: str, values: Mapping[str, object], parent: Run) -> Plan[TrainingOptions]:
        command: Any = TRAININGS[kind]().because(f"study {self.study}", **values)
        return evaluating.plan_beside(self.registry, self._for_here(command), parent, load=self.costs.load)

    def _for_here(self, command: OptionsT) -> OptionsT:
        """The command to settle: for other machines on the CPU; there --device cuda stands for bfloat16.

        A UsageError for --minutes on a GPU there: steps are timed here.
        """
        if not self.elsewhere:
            return command
        if isinstance(command, Pretrain) and command.minutes and command.device == "cuda":
            raise UsageError(
                f"--minutes {command.minutes:g} with --device cuda on other machines: steps can be timed on this machine only; "
                "accepted is a number of epochs: --set pretrain.epochs=N with a preset"
            )
        fast = {"precision": "bf16"} if (command.device, command.precision) == ("cuda", "auto") else {}
        return command.because("for another machine", device="cpu", **fast)

    def _entered(self, plan: Plan[TrainingOptions], device: str) -> Listed:
        plan = replace(plan, options=plan.options.because(f"study {self.study}", device=device))
        run = self._known.get(plan.key)
        if run is None:
            self._known[plan.key] = run = new_run(self.registry, plan, study=self.study)
            self.before.append(run)
        needs = (run.parent,) if run.parent else ()
        return Listed(Job(run=run.id, folder=run.folder, needs=needs, device=device), run)


def _epochs_to_keep(plan: Plan[Pretrain]) -> list[int]:
    """The epochs whose checkpoints a pretraining will keep, without the last."""
    options, images = plan.options, len(plan.context.data.train_images)
    epoch_steps = images // options.batch_size
    steps = total_steps(options, epoch_steps)
    epochs = range(1, -(-steps // epoch_steps) + 1)
    return [epoch for epoch in epochs if pretraining.is_kept(epoch, options, steps, epoch_steps)]


def _remove_unwanted(registry: Registry, runs: Sequence[Run], wanted: Container[str]) -> None:
    """Take out of the registry what an earlier list of the study entered, was never begun, and is not in the list now."""
    never = [
        run for run in runs
        if run.id not in wanted and registry.status(run) == WAITING and not registry.load(run).attempts
    ]  # fmt: skip
    if never:
        registry.remove({run.id for run in never})
        say(f"removed {len(never)} runs that were planned with other options and never begun")
    for run in never:
        shutil.rmtree(registry.path(run.folder))
