"""The trainings of a study, from a preset or for a number of minutes, with every option checked. No torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import yaml

from sslcli.errors import UsageError, did_you_mean
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.files import load_yaml
from sslcli.options.mapping import build, from_mapping
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import OF_PROTOCOL, Probe
from sslcli.options.study import Study, preset_files
from sslcli.options.study_methods import hold_to_one_encoder, section_for_each
from sslcli.options.trainings import TRAININGS
from sslcli.runs.naming import network_in

Step = tuple[str, dict[str, object]]
"""A training of a study: the command's name, and its options."""
PRESET, MINUTES = "demo", 15.0
"""The preset if nothing is chosen, and the minutes of pretraining if only a data set is."""
PRESET_OF_METHODS = "league"
"""The preset if only methods are chosen."""
OF_METHODS = "methods"
"""The line of a preset that names methods to compare, instead of a section of pretraining for each."""
BY_MINUTES: dict[str, list[dict[str, object]]] = {
    "pretrain": [{}],
    "probe": [{"epochs": 30}, {"protocol": "knn"}],
    "finetune": [{"epochs": 10, "optimizer": "muon", "lr": 0.1}],
}
"""The trainings of a study with --minutes, on any data."""
BY_TIME = ("epochs", "max_steps", "view_sizes", "knn_every", "keep_every")
"""The options that --minutes sets instead of a preset."""
OF_PRETRAINING = ("dataset", "labels", "image_size", "minutes")
"""Options that `ssl study` passes to its pretraining; evaluations inherit them from there."""
SHARED = ("seed", "max_steps", "folds", "data_dir", "download", "device")
"""Options that `ssl study` passes, if given, to every training that has them."""


def recipe_of(command: Study) -> tuple[Study, dict[str, list[dict[str, object]]]]:
    """The trainings of the preset (with --minutes, without the options that it sets); without a preset, BY_MINUTES.

    With --methods, a pretraining for each of these.
    """
    if command.preset is None and (command.dataset or command.minutes):
        dataset, minutes = command.dataset or Pretrain.dataset, command.minutes or MINUTES
        command, preset = command.because("--minutes", dataset=dataset, minutes=minutes), copy.deepcopy(BY_MINUTES)
    else:
        default = PRESET_OF_METHODS if command.methods else PRESET
        command = command if command.preset else command.because("default", preset=default)
        preset = read_preset(command.preset or default)
    if command.minutes:
        preset["pretrain"] = [without_time(section) for section in preset["pretrain"]]
    elif command.max_steps:  # a trial
        preset["pretrain"] = [{k: v for k, v in section.items() if k != "minutes"} for section in preset["pretrain"]]
    if command.methods is not None:
        preset["pretrain"] = section_for_each(preset["pretrain"], command.methods, place="--methods")
    return command, preset


def without_time(section: Mapping[str, object]) -> dict[str, object]:
    """Options of a pretraining without those that --minutes sets."""
    return {key: value for key, value in section.items() if key.replace("-", "_") not in BY_TIME}


def label_fractions(text: str) -> list[float]:
    """Turn "0.01,0.1,1" into distinct numbers above 0 and up to 1, the largest first."""
    try:
        found = sorted({float(part) for part in text.split(",")}, reverse=True)
    except ValueError:
        found = []
    if not found or not all(0 < fraction <= 1 for fraction in found):
        raise UsageError(f"--label-fractions {text!r}: accepted are numbers above 0 and up to 1, like 0.01,0.1,1")
    return found


def _on_fractions(kind: str, sections: list[dict[str, object]], fractions: list[float]) -> list[dict[str, object]]:
    """The evaluations of a preset on these fractions of the labels; each takes its protocol's recipe for the nearest one."""
    recipes: dict[tuple[object, ...], list[tuple[float, dict[str, object]]]] = {}
    told_apart_by = [name for name, keys in OF_PROTOCOL.items() if not PROTOCOLS[keys[0]].by_steps]
    for section in sections:
        options = build(TRAININGS[kind], section)
        assert not isinstance(options, Pretrain)
        values = options.options()
        protocol = tuple(values.get(name) for name in ("protocol", *told_apart_by))
        recipes.setdefault(protocol, []).append((options.label_fraction, section))
    return [
        min(of_protocol, key=lambda recipe: abs(math.log(recipe[0] / fraction)))[1] | {"label_fraction": fraction}
        for of_protocol in recipes.values()
        for fraction in fractions
    ]


def read_preset(name: str) -> dict[str, list[dict[str, object]]]:
    """The options of each training, by command name, from a preset of this package or a YAML file."""
    known = preset_files()
    path = known.get(name, Path(name))
    if not path.is_file():
        near = did_you_mean(name, known)
        raise UsageError(
            f"--preset {name!r}: no such preset or file; {near}accepted: {', '.join(known)}, or a YAML file like theirs; "
            "to see what each is for, type: ssl study --help"
        )
    content = load_yaml(path)
    accepted = (*TRAININGS, OF_METHODS)
    if not isinstance(content, dict) or not content or not set(content) <= set(accepted) or "pretrain" not in content:
        raise UsageError(f"{path}: not a preset; accepted are the sections {', '.join(accepted)}; pretrain is required")
    methods = content.pop(OF_METHODS, None)
    sections = {kind: section if isinstance(section, list) else [section or {}] for kind, section in content.items()}
    if not all(isinstance(options, dict) for section in sections.values() for options in section):
        raise UsageError(f"{path}: each section must hold option names and values, or a list of these")
    found = [section.get("method", Pretrain.method) for section in sections["pretrain"]]
    if not found or any(found.count(method) > 1 for method in found):
        words = ", ".join(map(str, found)) or "none"
        raise UsageError(f"{path}: a study needs exactly one pretrain section per method; found are the methods: {words}")
    if methods is not None:
        sections["pretrain"] = section_for_each(sections["pretrain"], str(methods), place=f"{path}: {OF_METHODS}")
    return sections


def assign(preset: dict[str, list[dict[str, object]]], assignment: str) -> None:
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
    files = [Pretrain.file_of(str(section.get("method", Pretrain.method))) for section in preset[kind]]
    takers = [section for section, file in zip(preset[kind], files, strict=True) if file and name in file.options]
    for section in takers or preset[kind]:  # an option of some methods goes only to their trainings
        section[name] = value
        if (name, value) == ("search_lr", True):
            section.pop("lr", None)  # the preset's, since such a line comes first; the search finds one in its place


def searches_first(assignments: Sequence[str]) -> list[str]:
    """The assignments with those of search_lr first: they drop the preset's rate, and not one that another assignment gives."""
    return sorted(assignments, key=lambda text: not text.partition("=")[0].replace("-", "_").endswith(".search_lr"))


def trainings_of(preset: dict[str, list[dict[str, object]]], command: Study) -> list[Step]:
    """The trainings of the study, pretraining first. Every option is checked before anything is trained."""
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
        if kind == "pretrain":
            hold_to_one_encoder(sections)
        folds = {"folds": shared.pop("folds")} if "folds" in shared else {}
        inits: list[dict[str, object]] = [{"init": init} for init in inits_of(command)] if kind != "pretrain" else [{}]
        steps += [
            (kind, {**arguments, **shared, **(folds if _takes_folds(kind, arguments) else {}), **init})
            for arguments in sections
            for init in inits
        ]
        if kind == "pretrain" and command.continue_from is not None:
            steps += [(kind, begun_with(command.continue_from, arguments)) for _, arguments in steps]
    if command.folds is not None and not any(arguments.get("folds") for _, arguments in steps):
        raise UsageError(
            f"--folds {command.folds}: the study has no evaluation for it; accepted are probes on all labels, but "
            f"{' and '.join(f'--protocol {key}' for key, one in PROTOCOLS.items() if one.frozen and not one.in_folds)}"
        )
    return steps


def _takes_folds(kind: str, arguments: Mapping[str, object]) -> bool:
    """Whether an evaluation can be in folds: a probe of representations, on all labels."""
    options = build(TRAININGS[kind], arguments)
    return isinstance(options, Probe) and options.by_protocol.in_folds and options.label_fraction == 1


def begun_with(init: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a pretraining that starts from others' weights; a library's network brings its backbone and stem."""
    own = ("backbone", "stem") if network_in(init) is not None else ()
    return {name: value for name, value in arguments.items() if name not in own} | {"init": init}


def inits_of(command: Study) -> list[str]:
    """The encoders that the study evaluates: pretrained, scratch, and each of --beside once."""
    return ["pretrained", "scratch", *dict.fromkeys(command.beside or [])]


def _section(command: Study, preset: dict[str, list[dict[str, object]]], kind: str, number: int) -> dict[str, object]:
    """A checked section of the preset; a UsageError if it sets an option that the study itself decides."""
    place = f"{command.preset or 'the study'}: {kind} {number + 1}"
    arguments = from_mapping(TRAININGS[kind], preset[kind][number], place)
    try:
        build(TRAININGS[kind], arguments)
    except UsageError as error:  # of options that do not go together
        raise UsageError(f"{place}: {error}") from error
    if "at_epoch" in arguments:
        raise UsageError(f"{place}: leave at_epoch out; a study probes every checkpoint that keep_every keeps")
    decided = ("name", "run", "init") if kind == "pretrain" else ("name", "run", "init", "encoder", "seed")
    if found := [name for name in decided if name in arguments]:
        raise UsageError(f"{place}: leave {', '.join(found)} out; the study sets it (seeds: --seed, --seeds)")
    return arguments


def over_time(probes: list[Step], epochs: list[int]) -> list[Step]:
    """The study's first probe again, for each epoch whose checkpoint pretraining kept."""
    return [(kind, {**arguments, "at_epoch": epoch}) for kind, arguments in probes[:1] for epoch in epochs]
