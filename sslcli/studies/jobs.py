"""The trainings of a study, each done once: finished ones are not repeated, interrupted ones continue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sslcli.comparison.answer import answer
from sslcli.comparison.differences import difference_of, pair_up
from sslcli.comparison.in_folds import with_folds
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.data.image_data import enough_labels
from sslcli.errors import DivergedError
from sslcli.options.mapping import build
from sslcli.options.pairing import changed_options
from sslcli.options.presets import Step, over_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.plans.few_labels import tell_of_width
from sslcli.plans.folds import check_folds, tell_of_copies
from sslcli.plans.plan import Plan
from sslcli.plans.pretraining import kept_epochs
from sslcli.plans.settling import prepare
from sslcli.runs.registry import Registry
from sslcli.runs.run import Choices, Run
from sslcli.studies.settled import settled_before
from sslcli.workflows.resume import as_begun
from sslcli.workflows.start import new_run
from sslcli.workflows.table import WORKFLOWS

APART = 0.25  # of the minutes that were asked for; a pretraining that misses them by more is told


def hold_to_labels(registry: Registry, steps: list[Step]) -> None:
    """A UsageError, before anything is trained, if the data lack the labels that an evaluation needs.

    Says how wide the interval of a difference will be, if it is wide.
    """
    own = [
        evaluation for kind, arguments in steps if not {"dataset", "labels"} & set(arguments)
        if not isinstance(evaluation := build(TRAININGS[kind], arguments), Pretrain)
    ]  # fmt: skip
    datasets = {build(Pretrain, arguments).dataset: arguments for kind, arguments in steps if kind == "pretrain"} if own else {}
    for of_pretraining in datasets.values():
        context, options = prepare(registry, build(Pretrain, of_pretraining))
        folds = [evaluation for evaluation in own if isinstance(evaluation, Probe) and evaluation.folds is not None]
        for evaluation in own:
            enough_labels(context.data, evaluation.label_fraction, dataset=options.dataset)
        for evaluation in folds[:1]:
            check_folds(registry, evaluation, context.data, dataset=options.dataset)
            tell_of_copies(registry, context.data, dataset=options.dataset)
        tell_of_width(context.data, folds=folds[0].folds if folds else None)


def train_all(
    registry: Registry, name: str, steps: list[Step], *, seed: int, whole: bool, choices: Choices | None = None
) -> Run:
    """Do every training of the study for one seed; returns the pretraining. `whole` also probes its kept checkpoints.

    `choices` were made for the pretraining, and go to its record.
    """
    pretrained = do(registry, name, steps[0][0], {**steps[0][1], "seed": seed}, choices=choices)
    _tell_of_time(pretrained)
    probes = [step for step in steps if step[0] == "probe"]
    done: list[Run] = []
    for kind, arguments in [*steps[1:], *(over_time(probes, kept_epochs(pretrained)) if whole else [])]:
        done.append(do(registry, name, kind, {**arguments, "seed": seed, "encoder": pretrained.id}))
        pairs, _ = pair_up(with_folds(registry, done[-2:]))
        if pairs:
            say(f"so far: {answer([difference_of(pairs)])}")
    return pretrained


def do(
    registry: Registry,
    study: str,
    kind: str,
    arguments: Mapping[str, object],
    *,
    choices: Choices | None = None,
    may_diverge: bool = False,
) -> Run:
    """Do one training: nothing if it is finished, the rest if it was interrupted, else all of it.

    A training that diverges is a DivergedError; if it `may_diverge`, its record is returned, and it is not done again.
    """
    workflow = WORKFLOWS[kind]
    before = [run for run in registry.runs() if run.study == study and run.status != "published"]
    arguments, settled = settled_before(registry, before, arguments)
    plan: Plan[TrainingOptions] = workflow.settle(registry, arguments, origin=f"study {study}")
    plan = replace(plan, choices=plan.choices | settled | (choices or {}))
    same = [run for run in before if _key(run) == plan.key]
    record = registry.load(same[-1]) if same else None
    if record and (record.status == "finished" or (may_diverge and _has_diverged(record))):
        say(f"{record.id}: {'finished' if record.status == 'finished' else 'diverged'} already")
        return record
    if record is None and not may_diverge:
        _tell_of_similar(registry, before, plan)
    begun = record or new_run(registry, plan, study=study)
    try:
        return workflow.go_on(registry, begun, plan.options, as_begun(record, plan.context) if record else plan.context)
    except DivergedError as error:
        if not may_diverge:
            raise
        say(f"{begun.id}: {error}")
        return registry.load(begun)


def _tell_of_time(pretrained: Run) -> None:
    """Say it if a pretraining took clearly more or less than its minutes: methods are then not compared at equal time."""
    asked, took = 60 * pretrained.choices.get("minutes", 0.0), pretrained.metrics["seconds"]
    if asked and abs(took / asked - 1) > APART:
        say(
            f"ssl: WARNING: {pretrained.id} took {duration(took)} of training, and was to take {duration(asked)}: the machine "
            "was busier or less busy than when its steps were timed; methods with other times are not compared fairly"
        )


def _has_diverged(record: Run) -> bool:
    return record.status == "failed" and (record.error or "").startswith(DivergedError.__name__)


def _tell_of_similar(registry: Registry, before: list[Run], plan: Plan[TrainingOptions]) -> None:
    """Say in which options a new training differs from a similar one that the study has done before."""
    values = plan.options.options()
    kin = (plan.protocol, plan.init, plan.method, plan.options.seed, values.get("label_fraction"), values.get("at_epoch"))
    similar = [
        run for run in before
        if (run.protocol, run.init, run.encoder_method, run.seed, run.label_fraction, run.at_epoch) == kin
    ]  # fmt: skip
    if similar:
        changed = changed_options(plan.experiment, registry.load(similar[-1]).options, values)
        differs = ", ".join(changed) or "the encoder, the data or the file of the method"
        say(f"{type(plan.options).__name__.lower()}: a new run; it differs from {similar[-1].id} in: {differs}")


def _key(run: Run) -> tuple[object, ...]:
    return run.experiment, run.init, run.parent, run.at_epoch, run.pair
