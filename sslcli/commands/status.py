"""ssl status: how the jobs of a study stand; ssl without a command: where you stand, what to type next. Imports no torch."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, ClassVar

from typer import Option

from sslcli.console.live import LiveTable
from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.options.annotations import Format, StudyName
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.next_step import next_command
from sslcli.runs.registry import Registry
from sslcli.runs.selection import study_runs
from sslcli.studies.states import COLUMNS, RUNNING, WAITING, State, changes, foremost, state_of_job, summary

LOOK_EVERY = 2.0  # seconds between two looks of --watch
FIRST_STEPS = """\
ssl: self-supervised learning on images. Does pretraining help?

  ssl study                          a whole study on made pictures, in minutes, no data needed
  ssl study --preset cifar10-cpu     the same on CIFAR-10, on two CPU cores
  ssl pretrain --minutes 15          train an encoder without labels
  ssl probe, ssl finetune            measure it; with --init scratch, measure a random one
  ssl compare                        the answer, and the table
  ssl plots, ssl predict, ssl views  curves, predictions, augmented views as pictures
  ssl runs list, ssl resume          list all runs; continue an interrupted one
  ssl --help                         everything
"""


@dataclass(frozen=True, kw_only=True)
class Status(Command):
    """Show how the jobs of a study stand: state, machine, progress, time left."""

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    watch: Annotated[bool, Option("--watch", help="Show it again and again, until no job runs or waits.")] = False
    format: Format = "table"


def run(command: Status) -> None:
    """Print the jobs' states, or watch them from any terminal that sees the project."""
    registry = open_registry(command)
    if command.watch:
        _watch(registry, command.study)
        return
    states = _states(registry, command.study)
    whole = [vars(state) for state in states]
    print_rows([state.row() for state in states], COLUMNS, style=command.format, whole=whole)
    say(summary(states))


def _states(registry: Registry, study: str | None) -> list[State]:
    return [state_of_job(registry, run) for run in study_runs(registry, study)]


def _watch(registry: Registry, study: str | None) -> None:
    """A table on a terminal; elsewhere a line for each change."""
    before: dict[str, str] = {}
    with LiveTable(COLUMNS) as table:
        while True:
            states = _states(registry, study)
            table.show([state.row() for state in foremost(states, table.room)], summary(states))
            for line in [] if table.drawn else changes(before, states):
                say(line)
            if not any(state.state in (RUNNING, WAITING) for state in states):
                break
            before = {state.job: state.state for state in states}
            time.sleep(LOOK_EVERY)
    say(summary(states))


def first_steps() -> None:
    """Print the commands, the state of the project in one line, and what to type next."""
    registry = open_registry(Command())
    runs = registry.runs()
    print(FIRST_STEPS)
    counts = Counter(f"{registry.status(run)} {run.experiment}" for run in runs)
    state = ", ".join(f"{number} {kind}" for kind, number in counts.items()) or "no runs yet"
    print(f"Project {registry.root}: {state}.")
    print(f"Next, type: {next_command(registry)}")
