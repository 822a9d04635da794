"""ssl study: pretraining, its evaluations beside scratch, then pictures, a page to hand in, and the comparison."""

from __future__ import annotations

import copy
import importlib
import math
import os
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from sslcli.bench.minutes import settled_of
from sslcli.comparison import comparison as compare
from sslcli.comparison.differences import answer, difference_of, pair_up
from sslcli.data.image_data import enough_labels
from sslcli.errors import UsageError
from sslcli.evaluation.naming import dataset_word
from sslcli.evaluation.protocols import PROTOCOLS, made_by, usual
from sslcli.files import load_yaml
from sslcli.gallery import curves as plots
from sslcli.gallery import predictions as predict
from sslcli.gallery import representations as map_command
from sslcli.gallery import views
from sslcli.methods import methods_with
from sslcli.options.command import OF_PROTOCOL, TRAININGS, Compare, Map, Predict, Pretrain, Study, Views, from_mapping
from sslcli.options.pairing import changed_options
from sslcli.plans.settling import Plan, new_run, prepare, tell_of_speed
from sslcli.report import page as report
from sslcli.runs.registry import LEGAL_ID, Registry, Run
from sslcli.runs.selection import open_registry, say
from sslcli.training.device import choose_device
from sslcli.workflows.pretraining import kept_epochs
from sslcli.workflows.resume import as_begun

Step = tuple[str, dict[str, Any]]
"""A training of a study: the command's name, and its options."""
PRESETS = resources.files("sslcli") / "presets"
PRESET, MINUTES = "demo", 15.0
"""The preset where nothing is chosen, and the minutes of pretraining where a data set alone is."""
BY_MINUTES: dict[str, list[dict[str, Any]]] = {
    "pretrain": [{}],
    "probe": [{"epochs": 30}, {"protocol": "knn"}],
    "finetune": [{"epochs": 10, "optimizer": "muon", "lr": 0.1}],
}
"""The trainings of a study of so many minutes, on any data."""
BY_TIME = ("epochs", "max_steps", "view_sizes", "knn_every", "keep_every")
"""What --minutes settles in the place of a preset."""
OF_PRETRAINING = ("dataset", "labels", "minutes")
"""Options of `ssl study` that go to its pretraining; evaluations take them from there."""
SHARED = ("seed", "max_steps", "data_dir", "download", "device")
"""Options of `ssl study` that go to every training that has them, if given."""


def run(command: Study) -> tuple[str, Path | None]:
    """Do what of the study is not done yet, then compare; the study's name, and its page where there are evaluations."""
    registry = open_registry(command)
    command, preset = _recipe(command)
    for assignment in command.set or []:
        _assign(preset, assignment)
    name = command.name or (Path(command.preset).stem if command.preset else dataset_word(command.dataset))
    if not LEGAL_ID.fullmatch(name):
        raise UsageError(f"--name {name!r}: accepted are lower-case letters, digits, '.', '_' and '-'")
    steps = trainings_of(preset, command)
    methods = sum(kind == "pretrain" for kind, _ in steps)
    again = (methods - 1) * sum(arguments.get("init") == "pretrained" for _, arguments in steps)  # scratch is done once for all
    per_seed = f" for each of {command.seeds} seeds" * (command.seeds > 1)
    say(f"study {name} in {registry.root}: {len(steps) + again} trainings{per_seed}")
    tell_of_speed(choose_device(command.device), [arguments.get("precision", "auto") for _, arguments in steps])
    _hold_to_labels(registry, steps)
    evaluations = [step for step in steps if step[0] != "pretrain"]
    pretrained = []
    for seeds_done in range(command.seeds):
        for kind, arguments in (step for step in steps if step[0] == "pretrain"):
            first = int(arguments.get("seed", Pretrain.seed))
            own = [(kind, arguments), *evaluations]
            pretrained.append(_whole(registry, name, own, seed=first + seeds_done, whole=not seeds_done))
    _draw(registry, name, pretrained[: len(steps) - len(evaluations)], command, evaluations)
    page = report.make(registry, name) if evaluations else None
    if page is not None:
        say(f"wrote {os.path.relpath(page)}, the page to hand in")
        compare.run(Compare(project=registry.root, study=name))
    say(
        f"to look at the curves, type: tensorboard --logdir {os.path.relpath(registry.root / 'runs')}; "
        f"to see every run: {registry.command('ssl runs list')}"
    )
    return name, page


def _recipe(command: Study) -> tuple[Study, dict[str, list[dict[str, Any]]]]:
    """The preset's trainings, with --minutes without what those settle; without a preset those of BY_MINUTES."""
    if command.preset is None and (command.dataset or command.minutes):
        dataset, minutes = command.dataset or Pretrain.dataset, command.minutes or MINUTES
        return command.because("--minutes", dataset=dataset, minutes=minutes), copy.deepcopy(BY_MINUTES)
    command = command if command.preset else command.because("default", preset=PRESET)
    preset = read_preset(command.preset or PRESET)
    if command.minutes:
        preset["pretrain"] = [
            {k: v for k, v in section.items() if k.replace("-", "_") not in BY_TIME} for section in preset["pretrain"]
        ]
    return command, preset


def _hold_to_labels(registry: Registry, steps: list[Step]) -> None:
    """A UsageError before anything is trained where the data have not the labels that an evaluation needs."""
    own = [arguments for kind, arguments in steps if kind != "pretrain" and not {"dataset", "labels"} & set(arguments)]
    datasets = {Pretrain(**arguments).dataset: arguments for kind, arguments in steps if kind == "pretrain"} if own else {}
    for of_pretraining in datasets.values():
        setting, options = prepare(registry, Pretrain(**of_pretraining))
        for arguments in own:
            enough_labels(setting.data, arguments.get("label_fraction", 1.0), dataset=options.dataset)


def _whole(registry: Registry, name: str, steps: list[Step], *, seed: int, whole: bool) -> Run:
    """Every training of the study at one seed; returns the pretraining. `whole` probes its kept checkpoints too."""
    pretrained = _do(registry, name, steps[0][0], {**steps[0][1], "seed": seed})
    probes = [step for step in steps if step[0] == "probe"]
    done: list[Run] = []
    for kind, arguments in [*steps[1:], *(over_time(probes, kept_epochs(pretrained)) if whole else [])]:
        done.append(_do(registry, name, kind, {**arguments, "seed": seed, "encoder": pretrained.id}))
        pairs, _ = pair_up(done[-2:])
        if pairs:
            say(f"so far: {answer([difference_of(pairs)])}")
    return pretrained


def label_fractions(text: str) -> list[float]:
    """Turn "0.01,0.1,1" into numbers above 0 and up to 1, from all to few, each once."""
    try:
        found = sorted({float(part) for part in text.split(",")}, reverse=True)
    except ValueError:
        found = []
    if not found or not all(0 < fraction <= 1 for fraction in found):
        raise UsageError(f"--label-fractions {text!r}: accepted are numbers above 0 and up to 1, like 0.01,0.1,1")
    return found


def _on_fractions(kind: str, sections: list[dict[str, Any]], fractions: list[float]) -> list[dict[str, Any]]:
    """The evaluations of a preset done on these parts of the labels, each protocol by its recipe for the nearest part."""
    recipes: dict[tuple[Any, ...], list[tuple[float, dict[str, Any]]]] = {}
    told_apart_by = [name for name, keys in OF_PROTOCOL.items() if not PROTOCOLS[keys[0]].by_steps]
    for section in sections:
        values = TRAININGS[kind](**section).options()
        protocol = tuple(values.get(name) for name in ("protocol", *told_apart_by))
        recipes.setdefault(protocol, []).append((values["label_fraction"], section))
    return [
        min(of_protocol, key=lambda recipe: abs(math.log(recipe[0] / fraction)))[1] | {"label_fraction": fraction}
        for of_protocol in recipes.values()
        for fraction in fractions
    ]


def preset_names() -> list[str]:
    """The presets of this package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in PRESETS.iterdir() if entry.name.endswith(".yaml"))


def read_preset(name: str) -> dict[str, list[dict[str, Any]]]:
    """Command names to their lists of options, from a preset of this package or a YAML file."""
    known = preset_names()
    path = Path(str(PRESETS / f"{name}.yaml")) if name in known else Path(name)
    if not path.is_file():
        raise UsageError(f"--preset {name!r}: no such preset or file; accepted: {', '.join(known)}, or a YAML file like theirs")
    content = load_yaml(path)
    if not isinstance(content, dict) or not content or not set(content) <= set(TRAININGS) or "pretrain" not in content:
        raise UsageError(f"{path}: a preset has the sections {', '.join(TRAININGS)}, pretrain at least, and no others")
    sections = {kind: section if isinstance(section, list) else [section or {}] for kind, section in content.items()}
    if not all(isinstance(options, dict) for section in sections.values() for options in section):
        raise UsageError(f"{path}: a section holds option names and values, or a list of such")
    methods = [section.get("method", Pretrain.method) for section in sections["pretrain"]]
    if not methods or any(methods.count(method) > 1 for method in methods):
        found = ", ".join(map(str, methods)) or "none"
        raise UsageError(f"{path}: a study has one pretrain section for each method, at least one; these are of: {found}")
    return sections


def _assign(preset: dict[str, list[dict[str, Any]]], assignment: str) -> None:
    """Carry out one --set, e.g. pretrain.epochs=2, on every training of that command."""
    target, equals, text = assignment.partition("=")
    kind, dot, option = target.partition(".")
    if not (equals and dot and option) or kind not in TRAININGS:
        raise UsageError(f"--set {assignment!r}: accepted is COMMAND.OPTION=VALUE with a command of {', '.join(TRAININGS)}")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        value = text
    if kind not in preset:
        raise UsageError(f"--set {assignment!r}: the study has no {kind}; it has: {', '.join(preset)}")
    name = option.replace("-", "_")
    takers = [section for section in preset[kind] if section.get("method", Pretrain.method) in methods_with(name)]
    for section in takers or preset[kind]:  # an option of some methods alone goes to their trainings
        section[name] = value


def trainings_of(preset: dict[str, list[dict[str, Any]]], command: Study) -> list[Step]:
    """The trainings of the study, pretraining first, every option checked before anything is trained."""
    steps: list[Step] = []
    fractions = None if command.label_fractions is None else label_fractions(command.label_fractions)
    given = {f.name for f in fields(command) if f.init and getattr(command, f.name) != f.default}
    given |= {name for name, origin in command.origins.items() if origin != "default"}
    for kind in TRAININGS:
        sections = [_section(command, preset, kind, number) for number in range(len(preset.get(kind, [])))]
        if fractions and kind != "pretrain":
            sections = _on_fractions(kind, sections, fractions)
        names = given.intersection(SHARED + (OF_PRETRAINING if kind == "pretrain" else ()))
        shared = {f.name: getattr(command, f.name) for f in fields(TRAININGS[kind]) if f.name in names}
        inits = ({},) if kind == "pretrain" else ({"init": "pretrained"}, {"init": "scratch"})
        steps += [(kind, {**arguments, **shared, **init}) for arguments in sections for init in inits]
    return steps


def _section(command: Study, preset: dict[str, list[dict[str, Any]]], kind: str, number: int) -> dict[str, Any]:
    """A section of the preset, checked; a UsageError if it has what the study itself decides."""
    place = f"{command.preset or 'the study'}: {kind} {number + 1}"
    arguments: dict[str, Any] = from_mapping(TRAININGS[kind], preset[kind][number], place)
    try:
        TRAININGS[kind](**arguments)
    except UsageError as error:  # of options that do not go together
        raise UsageError(f"{place}: {error}") from error
    if "at_epoch" in arguments:
        raise UsageError(f"{place}: a study probes the checkpoints of --keep-every by itself")
    decided = ("name", "run", "init") if kind == "pretrain" else ("name", "run", "init", "encoder", "seed")
    if found := [name for name in decided if name in arguments]:
        raise UsageError(f"{place}: {', '.join(found)} follows from the study; leave it out (seeds: --seed, --seeds)")
    return arguments


def _draw(registry: Registry, name: str, pretrained: list[Run], command: Study, evaluations: list[Step]) -> None:
    """The study's pictures: curves, the views of each pretraining, and predictions with the same images for all."""
    written = plots.draw(registry, study=name, out=registry.path("results/figures"))
    written += [views.draw(registry, Views(run=run.id, data_dir=command.data_dir)) for run in pretrained]
    protocols = [made_by(kind, step.get("protocol")) for kind, step in evaluations]
    if any(protocol.classifies for protocol in protocols):
        written += predict.draw(registry, Predict(study=name, data_dir=command.data_dir, device=command.device))
    if usual() in protocols:
        written += map_command.draw(registry, Map(study=name, data_dir=command.data_dir, device=command.device))
    say(f"wrote {len(written)} pictures under {os.path.relpath(registry.path('results'))}")


def over_time(probes: list[Step], epochs: list[int]) -> list[Step]:
    """The study's first probe again, for each of the epochs whose checkpoints pretraining has kept."""
    return [(kind, {**arguments, "at_epoch": epoch}) for kind, arguments in probes[:1] for epoch in epochs]


def _do(registry: Registry, study: str, kind: str, arguments: dict[str, Any]) -> Run:
    """One training: nothing if it is finished, the rest of it if it was interrupted, else all of it."""
    module = importlib.import_module("sslcli.workflows." + {"pretrain": "pretraining", "probe": "probing", "finetune": "finetuning"}[kind])
    before = [run for run in registry.runs() if run.study == study and run.status != "published"]
    arguments, choices = _settled_before(registry, before, arguments)
    plan: Plan = module.plan(registry, TRAININGS[kind]().because(f"study {study}", **arguments))
    plan = replace(plan, choices=plan.choices | choices)
    same = [run for run in before if _key(run) == plan.key]
    if same and same[-1].status == "finished":
        say(f"{same[-1].id}: finished already")
        return registry.load(same[-1])
    if same:
        record = registry.load(same[-1])
        unfinished: Run = module.carry_out(registry, record, plan.options, as_begun(record, plan.setting))
        return unfinished
    values = plan.options.options()
    kin = (plan.protocol, plan.init, plan.method, plan.options.seed, values.get("label_fraction"), values.get("at_epoch"))
    similar = [
        run for run in before
        if (run.protocol, run.init, run.encoder_method, run.seed, run.label_fraction, run.at_epoch) == kin
    ]  # fmt: skip
    if similar:
        changed = changed_options(plan.experiment, registry.load(similar[-1]).options, values)
        say(f"{kind}: not the options of {similar[-1].id}: {', '.join(changed) or 'another encoder or other data'}; a new run")
    started: Run = module.carry_out(registry, new_run(registry, plan, study=study), plan.options, plan.setting)
    return started


def _settled_before(registry: Registry, before: list[Run], arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pretraining's arguments with what an earlier one of the study settled for the same minutes, and its choices.

    So another seed has the same steps, and a study that is started again repeats nothing, however busy the machine is now.
    """
    minutes, method = arguments.get("minutes"), arguments.get("method", Pretrain.method)
    found = [run for run in before if run.experiment == "pretrain" and run.encoder_method == method] if minutes else []
    for record in (registry.load(run) for run in reversed(found)):
        if record.choices.get("minutes") == minutes:
            settled = {name: record.options[name] for name in settled_of(record.options["method"])}
            return settled | {name: value for name, value in arguments.items() if name != "minutes"}, dict(record.choices)
    return arguments, {}


def _key(run: Run) -> tuple[Any, ...]:
    return run.experiment, run.init, run.parent, run.at_epoch, run.pair
