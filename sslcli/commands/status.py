"""ssl status: how the jobs of a study stand; ssl without a command: where you stand, what to type next. Imports no torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, ClassVar

from typer import Option

from sslcli.options.annotations import Format, StudyName
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.next_step import next_command

LOOK_EVERY = 2.0  # seconds between two looks of --watch
FIRST_STEPS = """\
ssl: self-supervised learning on images. Does pretraining help?

  ssl study                                     a whole study, on made pictures
  ssl study --preset cifar10-laptop --download  the same on CIFAR-10
  ssl study --dataset folder:photos             your own, a folder per class
  ssl pretrain, ssl probe, ssl finetune         a study's parts, one by one
  ssl status, ssl resume, ssl runs list         how far it is; go on; all runs
  ssl compare, ssl report                       the answer and the table; a page
  ssl plots, ssl views, ssl map                 curves and pictures
  ssl predict, ssl export                       label more pictures; the encoder
  ssl --help                                    everything
"""


@dataclass(frozen=True, kw_only=True)
class Status(Command):
    """Show how the jobs of a study stand: state, machine, progress, time left."""

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    watch: Annotated[bool, Option("--watch", help="Show it again and again, while jobs run or ssl study is at work.")] = False
    format: Format = "table"


def run(command: Status) -> None:
    """Print the jobs' states, or watch them from any terminal that sees the project."""
    from sslcli.studies.states import print_states, watch

    registry = open_registry(command)
    if command.watch:
        watch(registry, command.study, every=LOOK_EVERY)
    else:
        print_states(registry, command.study, style=command.format)


def first_steps() -> None:
    """Print the commands, the state of the project in one line, and what to type next."""
    registry = open_registry(Command())
    runs = registry.runs()
    print(FIRST_STEPS)
    counts = Counter(f"{registry.status(run)} {run.experiment}" for run in runs)
    state = ", ".join(f"{number} {kind}" for kind, number in counts.items()) or "no runs yet"
    print(f"Project {registry.root}: {state}.")
    print(f"Next, type: {next_command(registry)}")
