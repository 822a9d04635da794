"""How to reproduce the study: options and minutes of each training, the commands, and what to cite. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslcli.data import DATASETS
from sslcli.evaluation.naming import WORDS, in_words
from sslcli.methods import FILES, options_of
from sslcli.models import BACKBONES, INPUT
from sslcli.options.command import NO_OPTION_OF_A_RUN
from sslcli.options.trainings import TRAININGS
from sslcli.report.provenance import DONE, without_folders
from sslcli.report.tables import Cell, Table
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.run import EXPERIMENTS, Run

ELSEWHERE = {
    *NO_OPTION_OF_A_RUN, "method", "protocol", "label_fraction", "init", "encoder", "at_epoch", "seed", "name", "data_dir",
    "download", "device", "deterministic",
}  # fmt: skip
"""Options that have a column, or that only say where things are."""
OF_ENCODER = {"dataset", "labels", "image_size", "fit", "backbone", "stem"}
"""Options of an evaluation that repeat those of its encoder's pretraining."""
OPEN = (None, "auto")
"""Defaults that let the program choose the value."""


@dataclass(frozen=True)
class Piece:
    """The number of runs that one command made at one commit; `what` are their kinds in words."""

    command: str
    commit: str
    runs: int
    what: tuple[str, ...]


def pieces(runs: Sequence[Run]) -> list[Piece]:
    """The runs grouped by command and commit, in order; without runs that have no recorded command, like published ones."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.command:
            found.setdefault((without_folders(run.command), str(run.versions.get("commit") or "")), []).append(run)
    return [
        Piece(command, commit, len(mine), tuple(dict.fromkeys(_kind(run) for run in mine)))
        for (command, commit), mine in found.items()
    ]


def _kind(run: Run) -> str:
    return WORDS["pretrain"] if run.experiment == "pretrain" else in_words(run.experiment, None, None, run.protocol)


def recipe(runs: Sequence[Run]) -> Table | None:
    """A row for each kind of training, whatever its init and seed; None if no options are recorded."""
    alike: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        if run.options and run.status in DONE:
            alike.setdefault((_training(run), chosen(run), settled(run)), []).append(run)
    if not alike:
        return None
    columns = ["training", "options that differ from the defaults", "runs", "minutes a run"]
    rows = [
        [
            Cell(name, head=True),
            Cell(differing or "none", note=f"without a fixed default: {own}" if own else ""),
            Cell(str(len(mine)), len(mine), kind="number"),
            Cell(_minutes(mine), kind="number"),
        ]
        for (name, differing, own), mine in alike.items()
    ]
    numbers = ("runs", "minutes a run")
    return Table("Each training, pretrained and scratch alike", [(c, c in numbers) for c in columns], rows, sortable=False)


def _training(run: Run) -> str:
    if run.experiment == "pretrain":
        return f"pretraining, {run.encoder_method}"
    return in_words(run.experiment, run.label_fraction, None, run.protocol)


def chosen(run: Run) -> str:
    """The recorded options that differ from their defaults: "batch size 128, optimizer muon"."""
    defaults = _defaults(run)
    return _in_words({
        name: value for name, value in run.options.items()
        if name in defaults and name not in _elsewhere(run) and defaults[name] not in OPEN and value != defaults[name]
    })  # fmt: skip


def settled(run: Run) -> str:
    """The recorded options whose default lets the program choose; a preset may have set them too."""
    defaults = _defaults(run)
    return _in_words({
        name: value for name, value in run.options.items()
        if name not in _elsewhere(run) and defaults.get(name) in OPEN and value not in OPEN
    })  # fmt: skip


def _elsewhere(run: Run) -> set[str]:
    return ELSEWHERE if run.experiment == "pretrain" else ELSEWHERE | OF_ENCODER


def _defaults(run: Run) -> dict[str, Any]:
    """The defaults of the command that makes such runs, including those of its method."""
    command = TRAININGS[EXPERIMENTS[run.experiment]]
    own = options_of(run.encoder_method or "") if run.experiment == "pretrain" else {}
    common = {name: field.default for name, field in command.__dataclass_fields__.items()}
    return common | {name: option.default for name, option in own.items()}


def _in_words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _minutes(runs: Sequence[Run]) -> str:
    """The minutes of a run; for several runs, the fewest and the most."""
    timed = sorted(run.metrics["seconds"] / 60 for run in runs if "seconds" in run.metrics)
    if not timed:
        return "–"
    ends = dict.fromkeys(f"{minutes:.1f}" if minutes >= 0.05 else "< 0.1" for minutes in (timed[0], timed[-1]))
    return " to ".join(ends)


def encoders(runs: Sequence[Run], names: Mapping[str, str]) -> Table | None:
    """The encoders from elsewhere: their name on the page, network, weights, and name in the records; None without any.

    `names` are the encoders' names by init.
    """
    first = {run.init: run for run in reversed(runs) if run.init in names and run.init not in INIT_WORDS}
    if not first:
        return None
    rows = [
        [
            Cell(names[init], head=True),
            Cell(first[init].backbone or "–", note=_stem(first[init])),
            Cell(str(origin.get("file", "–")), note=f"SHA-256 {origin['sha256']}" if "sha256" in origin else ""),
            Cell(init, kind="code"),
        ]
        for init in names
        if init in first
        for origin in [first[init].data.get("init", {})]
    ]
    columns = ["encoder", "network", "file of weights", "name in the records"]
    return Table("The encoders from elsewhere", [(column, False) for column in columns], rows, sortable=False)


def _stem(run: Run) -> str:
    """The side that a network from elsewhere gets, or its stem."""
    stem = str(run.options.get("stem") or "")
    return f"images resized to {stem.removeprefix(INPUT)} pixels" if stem.startswith(INPUT) else stem and f"stem {stem}"


def references(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What to cite, as ("Method", paper): of methods, data sets and backbones. What is not the program's has none."""
    trained = [run for run in runs if run.experiment == "pretrain"]
    found = {
        "Method": [FILES[run.encoder_method].about for run in trained if run.encoder_method in FILES],
        "Data": [DATASETS[run.dataset].paper for run in runs if run.dataset in DATASETS],
        "Backbone": [BACKBONES[run.backbone].paper for run in runs if run.backbone in BACKBONES],
    }
    return [(kind, paper) for kind, papers in found.items() for paper in dict.fromkeys(papers) if paper]
