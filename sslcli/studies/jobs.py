"""The trainings of a study, each done once: finished ones are not repeated, interrupted ones continue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sslcli.comparison.answer import answer
from sslcli.comparison.differences import difference_of, pair_up
from sslcli.comparison.in_folds import with_folds
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.data.image_data import enough_labels
from sslcli.data.loading import load_data
from sslcli.errors import DivergedError
from sslcli.options.mapping import build
from sslcli.options.pairing import changed_options
from sslcli.options.presets import Step, over_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.plans.data_access import Load
from sslcli.plans.few_labels import tell_of_width
from sslcli.plans.folds import check_folds, tell_of_copies
from sslcli.plans.plan import Plan
from sslcli.plans.pretraining import kept_epochs
from sslcli.plans.settling import prepare
from sslcli.runs.choices import Choices
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import state_of
from sslcli.studies.beside import of_pretrained
from sslcli.studies.hands import Hands, at_work
from sslcli.studies.settled import settled_before
from sslcli.workflows.resume import as_begun
from sslcli.workflows.start import new_run
from sslcli.workflows.table import WORKFLOWS

HERE = "here"
"""The place of a training in this process, in its ticket."""
LOOK_EVERY = 1.0  # seconds between two looks at what others have
APART = 0.25  # of the minutes that were asked for; a pretraining that misses them by more is told

Arguments = Mapping[str, object]
"""The options of a training that a study sets."""


def hold_to_labels(registry: Registry, steps: list[Step], *, load: Load = load_data) -> None:
    """A UsageError, before anything is trained, if the data lack the labels that an evaluation needs."""
    own = [
        evaluation for kind, arguments in steps if not {"dataset", "labels"} & set(arguments)
        if not isinstance(evaluation := build(TRAININGS[kind], arguments), Pretrain)
    ]  # fmt: skip
    on_cpu = {"device": "cpu"}  # the labels are counted there, also for a place with GPUs that are not here
    datasets = {build(Pretrain, arguments).dataset: arguments for kind, arguments in steps if kind == "pretrain"} if own else {}
    for of_pretraining in datasets.values():
        context, options = prepare(registry, build(Pretrain, {**of_pretraining, **on_cpu}), load=load)
        folds = [evaluation for evaluation in own if isinstance(evaluation, Probe) and evaluation.folds is not None]
        for evaluation in own:
            enough_labels(context.data, evaluation.label_fraction, dataset=options.dataset)
        for evaluation in folds[:1]:
            check_folds(registry, evaluation, context.data, dataset=options.dataset, labels=options.labels)
            tell_of_copies(registry, context.data, options)
        tell_of_width(context.data, folds=folds[0].folds if folds else None, labels=options.labels)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A pretraining of a study for one seed, and its evaluations. `whole`: also probes of the checkpoints that it keeps.

    `choices` were made for the pretraining, and go to its record.
    """

    pretraining: Arguments
    evaluations: Sequence[Step]
    seed: int
    whole: bool
    choices: Choices = field(default_factory=Choices)


def parts_of_study(pretrainings: Sequence[tuple[Arguments, Choices]], evaluations: Sequence[Step], *, seeds: int) -> list[Part]:
    """The parts of a study, seed by seed; of the first seed the checkpoints over time are probed too."""
    return [
        Part(
            pretraining=arguments, evaluations=of_pretrained(evaluations) if "init" in arguments else evaluations,
            seed=build(Pretrain, arguments).seed + later, whole=not later, choices=choices,
        )
        for later in range(seeds)
        for arguments, choices in pretrainings
    ]  # fmt: skip


def train_here(registry: Registry, name: str, parts: Sequence[Part], *, load: Load = load_data) -> list[Run]:
    """Do every training of a study in this process, one after the other; returns the pretrainings.

    Runs that another `ssl study` has in its hands are passed over, and awaited at the end.
    """
    with at_work(registry) as hands:
        pretrained: dict[int, Run] = {}
        left, told = {place: _train_part(hands, name, part, load) for place, part in enumerate(parts)}, False
        while left:
            before, waiting = len(left), 0
            for place, part in [*left.items()]:
                if (found := next(part)) is None:
                    waiting += 1
                else:
                    pretrained[place] = found
                    del left[place]
            if left and waiting == before:
                told = told or _tell_of_others(registry, name)
                time.sleep(LOOK_EVERY)
    return [pretrained[place] for place in sorted(pretrained)]


def _tell_of_others(registry: Registry, study: str) -> bool:
    """Say which runs of a study are awaited, and where they are; True."""
    running = [f"{run.id} ({state_of(registry, run)})" for run in runs_of(registry, study) if run.status == "running"]
    say(f"another ssl study has the rest; waiting for {', '.join(running) or 'its runs'}")
    return True


def _train_part(hands: Hands, name: str, part: Part, load: Load) -> Iterator[Run | None]:
    """Do the trainings of a part; yields None whenever others have all that is left of it, at last its pretraining."""
    begin = {**part.pretraining, "seed": part.seed}
    while (pretrained := do(hands, name, "pretrain", begin, choices=part.choices, load=load)) is None:
        yield None
    tell_of_time(pretrained)
    probes = [step for step in part.evaluations if step[0] == "probe"]
    left = [*part.evaluations, *(over_time(probes, kept_epochs(pretrained)) if part.whole else [])]
    done: list[Run] = []
    while left:
        busy: list[Step] = []
        for kind, arguments in left:
            run = do(hands, name, kind, {**arguments, "seed": part.seed, "encoder": pretrained.id}, load=load)
            if run is None:
                busy.append((kind, arguments))
                continue
            done.append(run)
            pairs, _ = pair_up(with_folds(hands.registry, done[-2:]))
            if pairs:
                say(f"so far: {answer([difference_of(pairs)])}")
        left = busy
        if left:
            yield None
    yield pretrained


def do(
    hands: Hands,
    study: str,
    kind: str,
    arguments: Arguments,
    *,
    choices: Choices | None = None,
    may_diverge: bool = False,
    load: Load = load_data,
) -> Run | None:
    """Do one training: nothing if it is finished, the rest if it was interrupted, else all of it.

    Returns its finished record, or None if another launcher, or another process, works on it. A training that diverges is a
    DivergedError; if it `may_diverge`, its record is returned, and it is not done again. `choices` go to the record.
    """
    registry, workflow = hands.registry, WORKFLOWS[kind]
    with hands.entering():
        before = runs_of(registry, study)
        arguments, settled = settled_before(registry, before, arguments)
        plan: Plan[TrainingOptions] = workflow.settle(registry, arguments, origin=f"study {study}", load=load)
        plan = replace(plan, choices=plan.choices | settled | (choices or {}))
        same = alike(before, plan)
        if same is not None and (same.status == "finished" or (may_diverge and _has_diverged(registry.load(same)))):
            say(f"{same.id}: {'finished' if same.status == 'finished' else 'diverged'} already")
            hands.tidy(same)
            return registry.load(same)
        if same is not None and hands.is_busy(same):
            return None
        if same is None:
            if not may_diverge:
                _tell_of_change(registry, before, plan, kind)
            record, context = new_run(registry, plan, study=study), plan.context
        else:
            record = registry.give_up(same) if same.status == "running" else registry.load(same)
            if record.status == "finished":  # just now
                return record
            context = as_begun(record, plan.context)
        hands.take(record, HERE)
    try:
        return workflow.go_on(registry, record, plan.options, context)
    except DivergedError as error:
        if not may_diverge:
            raise
        say(f"{record.id}: {error}")
        return registry.load(record)
    finally:
        hands.drop(record.id)


def _has_diverged(record: Run) -> bool:
    return record.status == "failed" and (record.error or "").startswith(DivergedError.__name__)


def tell_of_time(pretrained: Run) -> None:
    """Say it if a pretraining took clearly more or less than its minutes: methods are then not compared at equal time."""
    asked, took = 60 * pretrained.choices.get("minutes", 0.0), pretrained.metrics["seconds"]
    if asked and abs(took / asked - 1) > APART:
        say(
            f"ssl: WARNING: {pretrained.id} took {duration(took)} of training, and was to take {duration(asked)}: the machine "
            f"was {'busier' if took > asked else 'less busy'} than when its steps were timed; methods with other times are not "
            "compared fairly"
        )


def do_or_wait(
    hands: Hands, study: str, kind: str, arguments: Arguments, *, may_diverge: bool = False, load: Load = load_data
) -> Run:
    """The record of one training, as `do` makes it; where somebody else works on it, when it is done."""
    while (run := do(hands, study, kind, arguments, may_diverge=may_diverge, load=load)) is None:
        time.sleep(LOOK_EVERY)
    return run


def runs_of(registry: Registry, study: str) -> list[Run]:
    """The runs of a study that were made here, oldest first."""
    return [run for run in registry.runs() if run.study == study and run.status != "published"]


def alike(before: Sequence[Run], plan: Plan[TrainingOptions]) -> Run | None:
    """The newest of the runs that would give the same numbers as a planned one; None if there is none."""
    return next((run for run in reversed(before) if key_of(run) == plan.key), None)


def _tell_of_change(registry: Registry, before: Sequence[Run], plan: Plan[TrainingOptions], kind: str) -> None:
    """Say in which options a new run differs from an earlier one of its kind."""
    values = plan.options.options()
    kin = (plan.protocol, plan.init, plan.method, plan.options.seed, values.get("label_fraction"), values.get("at_epoch"))
    similar = [
        run for run in before
        if (run.protocol, run.init, run.encoder_method, run.seed, run.label_fraction, run.at_epoch) == kin
    ]  # fmt: skip
    if similar:
        changed = changed_options(plan.experiment, registry.load(similar[-1]).options, values)
        differs = ", ".join(changed) or "the encoder, the data or the file of the method"
        say(f"{kind}: a new run; it differs from {similar[-1].id} in: {differs}")


def key_of(run: Run) -> tuple[object, ...]:
    """A key that is equal for runs that give the same numbers; `Plan.key` is that of a planned one."""
    return run.experiment, run.init, run.parent, run.at_epoch, run.pair
