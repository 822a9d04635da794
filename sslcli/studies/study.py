"""A whole study: pretraining, its evaluations beside scratch, then pictures, a page to hand in, and the comparison."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from sslcli.comparison.printing import print_comparison
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.data.loading import load_data
from sslcli.errors import UsageError
from sslcli.evaluation.protocols import made_by, usual
from sslcli.gallery import curves, methods, predictions, representations, views
from sslcli.launch import as_typed, called, without_plan
from sslcli.options.mapping import build
from sslcli.options.pictures import Map, Predict, Views
from sslcli.options.presets import Step, assign, recipe_of, searches_first, trainings_of
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.study import Study
from sslcli.options.trainings import TRAININGS
from sslcli.paths import relative
from sslcli.plans.data_access import Load
from sslcli.report.page import make
from sslcli.runs.choices import Choices
from sslcli.runs.naming import dataset_word
from sslcli.runs.registry import Registry
from sslcli.runs.run import LEGAL_ID, Run
from sslcli.studies.beside import hold_to_encoders
from sslcli.studies.hands import at_work
from sslcli.studies.jobs import Arguments, Part, hold_to_labels, parts_of_study, tell_of_time, train_here
from sslcli.studies.launcher import launch
from sslcli.studies.listing import list_jobs, print_jobs
from sslcli.studies.places import open_place, place_named
from sslcli.studies.places.local import ALONE
from sslcli.studies.places.place import Entry, Place
from sslcli.studies.stopping import told_when_stopped
from sslcli.studies.tuning import hold_to_place, tuned
from sslcli.training.device import choose_device, tell_of_speed


def carry_out(registry: Registry, command: Study) -> tuple[str, Path | None]:
    """Do the missing parts of the study, then compare. Returns its name, and its page if there are evaluations."""
    command, preset = recipe_of(command)
    for assignment in searches_first(command.set or []):
        assign(preset, assignment)
    name = command.name or (Path(command.preset).stem if command.preset else dataset_word(command.dataset))
    if not LEGAL_ID.fullmatch(name):
        raise UsageError(f"--name {name!r}: accepted are lower-case letters, digits, '.', '_' and '-'")
    steps = trainings_of(preset, command)
    say(f"study {name} in {registry.root}: {_in_words(steps, command)}")
    where = place_named(command.on)
    with told_when_stopped(registry, name, left="the list" if command.plan else "its other runs, its pictures and its page"):
        pretrained = _trained(registry, name, steps, command, where)
    if pretrained is None:
        return name, None
    registry.settle()
    evaluations = [step for step in steps if step[0] != "pretrain"]
    shown = command.because("drawn here", device="auto") if where.elsewhere else command
    with told_when_stopped(registry, name, left="its pictures and its page"):
        return name, present(registry, name, pretrained[: len(steps) - len(evaluations)], shown, evaluations)


def _trained(registry: Registry, name: str, steps: list[Step], command: Study, where: Entry) -> list[Run] | None:
    """Check what can be checked, then do every training; returns the pretrainings. With --plan only lists them: None."""
    hold_to_place(command)
    place = None if command.plan or command.on in ALONE else open_place(registry, command)
    if not where.elsewhere:
        precisions = [build(TRAININGS[kind], arguments).precision for kind, arguments in steps]
        tell_of_speed(choose_device(command.device), precisions)
    load = lru_cache(maxsize=2)(load_data)  # the trainings share their data, and those of --watch
    hold_to_labels(registry, steps, load=load)
    hold_to_encoders(registry, command, steps, load=load)
    parts = _parts(registry, name, steps, command, load)
    if command.plan:
        with called(without_plan(as_typed())):
            print_jobs(registry, name, parts, elsewhere=where.elsewhere, alone=command.on in ALONE, style=command.format)
        return None
    return train_here(registry, name, parts, load=load) if place is None else train_at(place, where, registry, name, parts)


def present(registry: Registry, name: str, pretrained: list[Run], command: Study, evaluations: list[Step]) -> Path | None:
    """Draw the study's pictures, write its page, and print the comparison; returns the page, if there are evaluations."""
    save_pictures(registry, name, pretrained, command, evaluations)
    page = make(registry, name) if evaluations else None
    if page is not None:
        say(f"wrote {relative(page)}, the page to hand in")
        print()
        print_comparison(registry, name)
    say(
        f"to look at the curves, type: tensorboard --logdir {shlex.quote(relative(registry.root / 'runs'))}; "
        f"to see every run: {registry.command('ssl runs list')}"
    )
    return page


def _in_words(steps: list[Step], command: Study) -> str:
    """How many jobs the study has, as --plan lists them, and the minutes of pretraining where they are given."""
    pretrainings = [arguments for kind, arguments in steps if kind == "pretrain"]
    evaluations = sum(arguments.get("init") == "pretrained" for _, arguments in steps)
    jobs = len(steps) + (len(pretrainings) - 1) * evaluations  # all methods share one scratch run
    kept = [_kept(arguments) for arguments in pretrainings] if any(kind == "probe" for kind, _ in steps) else []
    known, several = sum(number or 0 for number in kept), command.seeds > 1
    words = f"{jobs * command.seeds + known} jobs" + f": {jobs} for each of {command.seeds} seeds" * several
    if known or None in kept:
        probes = f"{known} probes of kept checkpoints" if known else "a probe of each kept checkpoint"
        words += f", and {probes} (first seed only)" if several else f", {'with' if known else 'and'} {probes}"
    minutes = [float(str(arguments["minutes"])) for arguments in pretrainings if arguments.get("minutes")]
    tuning = len(pretrainings) * command.tuning * command.tuning_minutes
    if len(minutes) == len(pretrainings):
        words += f"; pretraining takes {duration(60 * command.seeds * sum(minutes))}"
    return words + (f"; before it, tuning takes {duration(60 * tuning)}" if tuning else "")


def _kept(arguments: Arguments) -> int | None:
    """The number of checkpoints that a pretraining keeps besides the last; None: its steps decide, or are timed first."""
    options = build(Pretrain, arguments)
    if not options.keep_every:
        return 0
    return None if options.minutes or options.max_steps else (options.epochs - 1) // options.keep_every


def _parts(registry: Registry, name: str, steps: Sequence[Step], command: Study, load: Load) -> list[Part]:
    """The study's parts. With --tuning every method is tuned before anything is evaluated."""
    pretrainings = [arguments for kind, arguments in steps if kind == "pretrain"]
    chosen: list[tuple[Arguments, Choices]] = [(arguments, Choices()) for arguments in pretrainings]
    if command.tuning:
        with at_work(registry) as hands:
            chosen = [
                tuned(hands, name, arguments, trials=command.tuning, minutes=command.tuning_minutes, load=load)
                for arguments in pretrainings
            ]
    return parts_of_study(chosen, [step for step in steps if step[0] != "pretrain"], seeds=command.seeds)


def train_at(place: Place, where: Entry, registry: Registry, name: str, parts: Sequence[Part]) -> list[Run]:
    """Do every training of the study at a place; returns the pretrainings."""
    with at_work(registry) as hands:
        listed = list_jobs(hands, name, parts, elsewhere=where.elsewhere)
        launch(hands, [entry.job for entry in listed], place, key=where.key)
    done = [registry.load(registry.find(entry.run.id)) for entry in listed if entry.run.experiment == "pretrain"]
    for run in done:
        tell_of_time(run)
    return done


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
    if evaluations:
        written += methods.save_methods(registry, name, out=registry.path("results/figures"))
    say(f"wrote {len(written)} pictures under {relative(registry.path('results'))}")
