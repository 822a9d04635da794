"""A whole study: pretraining, its evaluations beside scratch, then pictures, a page to hand in, and the comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sslcli.comparison.printing import print_comparison
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.errors import UsageError
from sslcli.evaluation.protocols import made_by, usual
from sslcli.gallery import curves, methods, predictions, representations, views
from sslcli.options.mapping import build
from sslcli.options.pictures import Map, Predict, Views
from sslcli.options.presets import Step, assign, recipe_of, trainings_of
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.study import Study
from sslcli.options.trainings import TRAININGS
from sslcli.report.page import make
from sslcli.runs.naming import dataset_word
from sslcli.runs.registry import Registry
from sslcli.runs.run import LEGAL_ID, Run
from sslcli.studies.beside import hold_to_encoders, of_pretrained
from sslcli.studies.jobs import hold_to_labels, train_all
from sslcli.studies.tuning import Arguments, tuned
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
    say(f"study {name} in {registry.root}: {_in_words(steps, command)}")
    tell_of_speed(choose_device(command.device), [build(TRAININGS[kind], arguments).precision for kind, arguments in steps])
    hold_to_labels(registry, steps)
    hold_to_encoders(registry, command, steps)
    evaluations = [step for step in steps if step[0] != "pretrain"]
    pretrained = _pretrained(
        registry, name, [arguments for kind, arguments in steps if kind == "pretrain"], evaluations, command
    )
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
    return name, page


def _in_words(steps: list[Step], command: Study) -> str:
    """How many trainings the study has, and the minutes of pretraining where they are given."""
    pretrainings = [arguments for kind, arguments in steps if kind == "pretrain"]
    evaluations = sum(arguments.get("init") == "pretrained" for _, arguments in steps)
    trainings = len(steps) + (len(pretrainings) - 1) * evaluations  # all methods share one scratch run
    words = f"{trainings} trainings" + f" for each of {command.seeds} seeds" * (command.seeds > 1)
    minutes = [float(str(arguments["minutes"])) for arguments in pretrainings if arguments.get("minutes")]
    tuning = len(pretrainings) * command.tuning * command.tuning_minutes
    if len(minutes) == len(pretrainings):
        words += f"; pretraining takes {duration(60 * command.seeds * sum(minutes))}"
    return words + (f"; before it, tuning takes {duration(60 * tuning)}" if tuning else "")


def _pretrained(
    registry: Registry, name: str, pretrainings: Sequence[Arguments], evaluations: list[Step], command: Study
) -> list[Run]:
    """Do the study's trainings, seed by seed; returns the pretrainings of the first seed.

    All methods are tuned before anything is evaluated.
    """
    chosen = [
        tuned(registry, name, arguments, trials=command.tuning, minutes=command.tuning_minutes) for arguments in pretrainings
    ]
    done = []
    for seeds_done in range(command.seeds):
        for arguments, choices in chosen:
            seed = build(Pretrain, arguments).seed + seeds_done
            mine = of_pretrained(evaluations) if "init" in arguments else evaluations  # others' weights have no scratch partner
            own: list[Step] = [("pretrain", dict(arguments)), *mine]
            done.append(train_all(registry, name, own, seed=seed, whole=not seeds_done, choices=choices))
    return done[: len(chosen)]


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
    say(f"wrote {len(written)} pictures under {os.path.relpath(registry.path('results'))}")
