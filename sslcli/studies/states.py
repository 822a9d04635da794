"""How the jobs of a study stand: state, machine, progress, minutes left, for a table that any terminal can show. No torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sslcli.console.live import LiveTable
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.console.tables import print_rows
from sslcli.runs.registry import Registry
from sslcli.runs.run import WAITING, Run
from sslcli.runs.selection import study_runs
from sslcli.studies.hands import Hands

RUNNING, FINISHED, FAILED = "running", "finished", "failed"
ORDER = (RUNNING, FAILED, "interrupted", "starting", "submitted", WAITING, FINISHED)
"""The order of the states in a table that has no room for all jobs."""
COLUMNS = {"job": "job", "state": "state", "host": "host", "progress": "progress", "left": "left"}


@dataclass(frozen=True)
class State:
    """How a job stands. `done` is the fraction of its steps, `left` the seconds that remain; None: not known."""

    job: str
    state: str
    host: str = ""
    done: float | None = None
    left: float | None = None

    def row(self) -> dict[str, object]:
        """The cells of the table."""
        progress = "" if self.done is None else f"{self.done:.0%}"
        left = "" if self.left is None else duration(self.left)
        return {"job": self.job, "state": self.state, "host": self.host, "progress": progress, "left": left}


def state_of_job(registry: Registry, run: Run, *, minutes: float | None = None) -> State:
    """How the job of a run stands; `minutes` are its expected ones."""
    state = registry.status(run)
    if state in (FINISHED, "published"):
        return State(run.id, FINISHED)
    expected = None if minutes is None else 60 * minutes
    beat = None if state == WAITING else registry.heartbeat(run)
    if beat is None:
        return State(run.id, state, left=expected)
    if state == RUNNING:
        return State(run.id, state, beat.host, beat.done, expected if beat.left is None else beat.left)
    return State(run.id, state, beat.host)


def summary(states: Sequence[State], *, workers: int = 0) -> str:
    """The number of jobs in each state, and the time left if `workers` share what remains."""
    counts = Counter(state.state for state in states)
    said = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    open_ones = [state for state in states if state.state != FINISHED]
    if not open_ones or not workers or any(state.left is None for state in open_ones):
        return said
    left = sum(state.left or 0 for state in open_ones) / min(workers, len(open_ones))
    return f"{said}; about {duration(left)} left"


def changes(before: Mapping[str, str], states: Sequence[State]) -> list[str]:
    """A line for each job whose state is another than before."""
    done, of = sum(state.state == FINISHED for state in states), len(states)
    return [
        f"{state.job}: {state.state}{f' on {state.host}' if state.host else ''} ({done} of {of} finished)"
        for state in states
        if before.get(state.job, WAITING) != state.state
    ]


def foremost(states: Sequence[State], room: int) -> list[State]:
    """At most `room` of the jobs, those that run first."""
    return sorted(states, key=lambda state: ORDER.index(state.state) if state.state in ORDER else 0)[:room]


def print_states(registry: Registry, study: str | None, *, style: str) -> None:
    """Print how each job of a study stands, and below it how many are in each state."""
    states = states_of(registry, study)
    print_rows([state.row() for state in states], COLUMNS, style=style, whole=[vars(state) for state in states])
    say(summary(states))


def watch(registry: Registry, study: str | None, *, every: float) -> None:
    """Show how the jobs stand every so many seconds, while a job runs or an `ssl study` is at work: a table, or each change."""
    before, launchers = dict[str, str](), Hands(registry, "")
    with LiveTable(COLUMNS) as table:
        while True:
            states = states_of(registry, study)
            table.show([state.row() for state in foremost(states, table.room)], summary(states))
            for line in [] if table.drawn else changes(before, states):
                say(line)
            if not launchers.others() and not any(state.state == RUNNING for state in states):
                break
            before = {state.job: state.state for state in states}
            time.sleep(every)
    say(summary(states))


def states_of(registry: Registry, study: str | None) -> list[State]:
    """How the jobs of a study stand (default: the newest study)."""
    return [state_of_job(registry, run) for run in study_runs(registry, study)]
