"""The trainings of a study, each done once: finished ones are not repeated, interrupted ones continue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sslcli.bench.minutes import settled_of
from sslcli.comparison.answer import answer
from sslcli.comparison.differences import difference_of, pair_up
from sslcli.comparison.in_folds import with_folds
from sslcli.console.messages import say
from sslcli.data.image_data import enough_labels
from sslcli.options.mapping import build
from sslcli.options.pairing import changed_options
from sslcli.options.presets import Step, over_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.plans.few_labels import tell_of_width
from sslcli.plans.folds import check_folds, tell_of_copies
from sslcli.plans.method_file import code_of
from sslcli.plans.plan import Plan
from sslcli.plans.pretraining import kept_epochs
from sslcli.plans.settling import prepare
from sslcli.runs.registry import Registry
from sslcli.runs.run import Choices, Run
from sslcli.workflows.resume import as_begun
from sslcli.workflows.start import new_run
from sslcli.workflows.table import WORKFLOWS


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


def train_all(registry: Registry, name: str, steps: list[Step], *, seed: int, whole: bool) -> Run:
    """Do every training of the study for one seed; returns the pretraining. `whole` also probes its kept checkpoints."""
    pretrained = do(registry, name, steps[0][0], {**steps[0][1], "seed": seed})
    probes = [step for step in steps if step[0] == "probe"]
    done: list[Run] = []
    for kind, arguments in [*steps[1:], *(over_time(probes, kept_epochs(pretrained)) if whole else [])]:
        done.append(do(registry, name, kind, {**arguments, "seed": seed, "encoder": pretrained.id}))
        pairs, _ = pair_up(with_folds(registry, done[-2:]))
        if pairs:
            say(f"so far: {answer([difference_of(pairs)])}")
    return pretrained


def do(registry: Registry, study: str, kind: str, arguments: Mapping[str, object]) -> Run:
    """Do one training: nothing if it is finished, the rest if it was interrupted, else all of it."""
    workflow = WORKFLOWS[kind]
    before = [run for run in registry.runs() if run.study == study and run.status != "published"]
    arguments, choices = _settled_before(registry, before, arguments)
    plan: Plan[TrainingOptions] = workflow.settle(registry, arguments, origin=f"study {study}")
    plan = replace(plan, choices=plan.choices | choices)
    same = [run for run in before if _key(run) == plan.key]
    if same and same[-1].status == "finished":
        say(f"{same[-1].id}: finished already")
        return registry.load(same[-1])
    if same:
        record = registry.load(same[-1])
        return workflow.go_on(registry, record, plan.options, as_begun(record, plan.context))
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
    return workflow.go_on(registry, new_run(registry, plan, study=study), plan.options, plan.context)


def _settled_before(
    registry: Registry, before: list[Run], arguments: Mapping[str, object]
) -> tuple[Mapping[str, object], Choices]:
    """A pretraining's arguments with the settings that an earlier one of the study found for the same minutes, and its choices.

    So another seed has the same steps, and a restarted study repeats nothing, however busy the machine is now.
    """
    minutes, method = arguments.get("minutes"), Pretrain.file_of(str(arguments.get("method", Pretrain.method)))
    if not minutes or method is None:
        return arguments, {}
    begun = "init" in arguments  # with others' weights, which have a network of their own
    found = [
        run for run in before
        if run.experiment == "pretrain" and run.encoder_method == method.name and (run.init is not None) == begun
    ]  # fmt: skip
    for record in (registry.load(run) for run in reversed(found)):
        if record.choices.get("minutes") == minutes and record.data.get("method", {}) == code_of(method):
            settled = {name: record.options[name] for name in settled_of(method)}
            return settled | {name: value for name, value in arguments.items() if name != "minutes"}, record.choices
    return arguments, {}


def _key(run: Run) -> tuple[object, ...]:
    return run.experiment, run.init, run.parent, run.at_epoch, run.pair
