"""The trainings of a study, each done once: finished ones are not repeated, interrupted ones continue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sslcli.bench.minutes import settled_of
from sslcli.comparison.answer import answer
from sslcli.comparison.differences import difference_of, pair_up
from sslcli.console.messages import say
from sslcli.data.image_data import enough_labels
from sslcli.options.mapping import build
from sslcli.options.pairing import changed_options
from sslcli.options.presets import Step, over_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.plans.method_file import code_of
from sslcli.plans.plan import Plan
from sslcli.plans.pretraining import kept_epochs
from sslcli.plans.settling import prepare
from sslcli.runs.registry import Registry
from sslcli.runs.run import Choices, Run
from sslcli.runs.selection import state_of
from sslcli.studies.hands import Hands, at_work
from sslcli.workflows.resume import as_begun
from sslcli.workflows.start import new_run
from sslcli.workflows.table import WORKFLOWS

HERE = "here"
"""The place of a training in this process, in its ticket."""
LOOK_EVERY = 1.0  # seconds between two looks at what others have


def hold_to_labels(registry: Registry, steps: list[Step]) -> None:
    """A UsageError, before anything is trained, if the data lack the labels that an evaluation needs."""
    own = [
        evaluation for kind, arguments in steps if not {"dataset", "labels"} & set(arguments)
        if not isinstance(evaluation := build(TRAININGS[kind], arguments), Pretrain)
    ]  # fmt: skip
    on_cpu = {"device": "cpu"}  # the labels are counted there, also for a place with GPUs that are not here
    datasets = {build(Pretrain, arguments).dataset: arguments for kind, arguments in steps if kind == "pretrain"} if own else {}
    for of_pretraining in datasets.values():
        context, options = prepare(registry, build(Pretrain, {**of_pretraining, **on_cpu}))
        for evaluation in own:
            enough_labels(context.data, evaluation.label_fraction, dataset=options.dataset)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A pretraining of a study for one seed, and its evaluations. `whole`: also probes of the checkpoints that it keeps."""

    pretraining: Mapping[str, object]
    evaluations: Sequence[Step]
    seed: int
    whole: bool


def parts_of(steps: Sequence[Step], *, seeds: int) -> list[Part]:
    """The parts of a study, seed by seed; of the first seed the checkpoints over time are probed too."""
    evaluations = [step for step in steps if step[0] != "pretrain"]
    return [
        Part(
            pretraining=arguments, evaluations=evaluations, seed=build(Pretrain, arguments).seed + later, whole=not later
        )
        for later in range(seeds)
        for kind, arguments in steps
        if kind == "pretrain"
    ]  # fmt: skip


def train_here(registry: Registry, name: str, parts: Sequence[Part]) -> list[Run]:
    """Do every training of a study in this process, one after the other; returns the pretrainings.

    Runs that another `ssl study` has in its hands are passed over, and awaited at the end.
    """
    with at_work(registry) as hands:
        pretrained: dict[int, Run] = {}
        left, told = {place: _train_part(hands, name, part) for place, part in enumerate(parts)}, False
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


def _train_part(hands: Hands, name: str, part: Part) -> Iterator[Run | None]:
    """Do the trainings of a part; yields None whenever others have all that is left of it, at last its pretraining."""
    while (pretrained := do(hands, name, "pretrain", {**part.pretraining, "seed": part.seed})) is None:
        yield None
    probes = [step for step in part.evaluations if step[0] == "probe"]
    left = [*part.evaluations, *(over_time(probes, kept_epochs(pretrained)) if part.whole else [])]
    done: list[Run] = []
    while left:
        busy: list[Step] = []
        for kind, arguments in left:
            run = do(hands, name, kind, {**arguments, "seed": part.seed, "encoder": pretrained.id})
            if run is None:
                busy.append((kind, arguments))
                continue
            done.append(run)
            pairs, _ = pair_up(done[-2:])
            if pairs:
                say(f"so far: {answer([difference_of(pairs)])}")
        left = busy
        if left:
            yield None
    yield pretrained


def do(hands: Hands, study: str, kind: str, arguments: Mapping[str, object]) -> Run | None:
    """Do one training: nothing if it is finished, the rest if it was interrupted, else all of it.

    Returns its finished record, or None if another launcher, or another process, works on it.
    """
    registry, workflow = hands.registry, WORKFLOWS[kind]
    with hands.entering():
        before = runs_of(registry, study)
        arguments, choices = settled_before(registry, before, arguments)
        plan: Plan[TrainingOptions] = workflow.settle(registry, arguments, origin=f"study {study}")
        plan = replace(plan, choices=plan.choices | choices)
        same = alike(before, plan)
        if same is not None and same.status == "finished":
            say(f"{same.id}: finished already")
            hands.tidy(same)
            return registry.load(same)
        if same is not None and hands.is_busy(same):
            return None
        if same is None:
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
    finally:
        hands.drop(record.id)


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


def settled_before(
    registry: Registry, before: list[Run], arguments: Mapping[str, object]
) -> tuple[Mapping[str, object], Choices]:
    """A pretraining's arguments with the settings that an earlier one of the study found for the same minutes, and its choices.

    So another seed has the same steps, and a restarted study repeats nothing, however busy the machine is now.
    """
    minutes, method = arguments.get("minutes"), Pretrain.file_of(str(arguments.get("method", Pretrain.method)))
    if not minutes or method is None:
        return arguments, {}
    found = [run for run in before if run.experiment == "pretrain" and run.encoder_method == method.name]
    for record in (registry.load(run) for run in reversed(found)):
        if record.choices.get("minutes") == minutes and record.data.get("method", {}) == code_of(method):
            settled = {name: record.options[name] for name in settled_of(method)}
            return settled | {name: value for name, value in arguments.items() if name != "minutes"}, record.choices
    return arguments, {}


def key_of(run: Run) -> tuple[object, ...]:
    """A key that is equal for runs that give the same numbers; `Plan.key` is that of a planned one."""
    return run.experiment, run.init, run.parent, run.at_epoch, run.pair
