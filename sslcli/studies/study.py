"""A whole study: pretraining, its evaluations beside scratch, then pictures, a page to hand in, and the comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sslcli.comparison.printing import print_comparison
from sslcli.console.messages import say
from sslcli.errors import UsageError
from sslcli.evaluation.protocols import made_by, usual
from sslcli.gallery import curves, predictions, representations, views
from sslcli.options.mapping import build
from sslcli.options.pictures import Map, Predict, Views
from sslcli.options.presets import Step, assign, recipe_of, trainings_of
from sslcli.options.probe import Probe
from sslcli.options.study import Study
from sslcli.options.trainings import TRAININGS
from sslcli.report.page import make
from sslcli.runs.naming import dataset_word
from sslcli.runs.registry import Registry
from sslcli.runs.run import LEGAL_ID, Run
from sslcli.studies.hands import at_work
from sslcli.studies.jobs import Part, hold_to_labels, parts_of, train_here
from sslcli.studies.launcher import launch
from sslcli.studies.listing import list_jobs, print_jobs
from sslcli.studies.places import open_place, place_named
from sslcli.studies.places.local import ALONE
from sslcli.studies.places.place import Entry, Place
from sslcli.training.device import choose_device, tell_of_speed


def carry_out(registry: Registry, command: Study) -> tuple[str, Path | None]:
    """Do the missing parts of the study, then compare. Returns its name, and its page if there are evaluations."""
    command, preset = recipe_of(command)
    for assignment in command.set or []:
        assign(preset, assignment)
    name = command.name or (Path(command.preset).stem if command.preset else dataset_word(command.dataset))
    if not LEGAL_ID.fullmatch(name):
        raise UsageError(f"--name {name!r}: accepted are lower-case letters, digits, '.', '_' and '-'")
    steps = trainings_of(preset, command)
    methods = sum(kind == "pretrain" for kind, _ in steps)
    again = (methods - 1) * sum(
        arguments.get("init") == "pretrained" for _, arguments in steps
    )  # all methods share one scratch run
    per_seed = f" for each of {command.seeds} seeds" * (command.seeds > 1)
    say(f"study {name} in {registry.root}: {len(steps) + again} trainings{per_seed}")
    where = place_named(command.on)
    place = None if command.plan or command.on in ALONE else open_place(registry, command)
    if not where.elsewhere:
        precisions = [build(TRAININGS[kind], arguments).precision for kind, arguments in steps]
        tell_of_speed(choose_device(command.device), precisions)
    hold_to_labels(registry, steps)
    evaluations = [step for step in steps if step[0] != "pretrain"]
    parts = parts_of(steps, seeds=command.seeds)
    if command.plan:
        print_jobs(registry, name, parts, elsewhere=where.elsewhere, style=command.format)
        return name, None
    pretrained = train_here(registry, name, parts) if place is None else train_at(place, where, registry, name, parts)
    registry.settle()
    shown = command.because("drawn here", device="auto") if where.elsewhere else command
    return name, present(registry, name, pretrained[: len(steps) - len(evaluations)], shown, evaluations)


def present(registry: Registry, name: str, pretrained: list[Run], command: Study, evaluations: list[Step]) -> Path | None:
    """Draw the study's pictures, write its page, and print the comparison; returns the page, if there are evaluations."""
    save_pictures(registry, name, pretrained, command, evaluations)
    page = make(registry, name) if evaluations else None
    if page is not None:
        say(f"wrote {os.path.relpath(page)}, the page to hand in")
        print()
        print_comparison(registry, name)
    say(
        f"to look at the curves, type: tensorboard --logdir {os.path.relpath(registry.root / 'runs')}; "
        f"to see every run: {registry.command('ssl runs list')}"
    )
    return page


def train_at(place: Place, where: Entry, registry: Registry, name: str, parts: Sequence[Part]) -> list[Run]:
    """Do every training of the study at a place; returns the pretrainings."""
    with at_work(registry) as hands:
        listed = list_jobs(hands, name, parts, elsewhere=where.elsewhere)
        launch(hands, [entry.job for entry in listed], place, key=where.key)
    return [registry.find(entry.run.id) for entry in listed if entry.run.experiment == "pretrain"]


def save_pictures(registry: Registry, name: str, pretrained: list[Run], command: Study, evaluations: list[Step]) -> None:
    """Draw the study's pictures: curves, the views of each pretraining, and predictions for the same images."""
    written = curves.save_curves(registry, study=name, out=registry.path("results/figures"))
    written += [views.save_views(registry, Views(run=run.id, data_dir=command.data_dir)) for run in pretrained]
    protocols = [
        made_by(kind, options.protocol if isinstance(options := build(TRAININGS[kind], arguments), Probe) else None)
        for kind, arguments in evaluations
    ]
    if any(protocol.classifies for protocol in protocols):
        written += predictions.save_predictions(registry, Predict(study=name, data_dir=command.data_dir, device=command.device))
    if usual() in protocols:
        written += representations.save_map(registry, Map(study=name, data_dir=command.data_dir, device=command.device))
    say(f"wrote {len(written)} pictures under {os.path.relpath(registry.path('results'))}")
