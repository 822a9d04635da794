"""Give a study's jobs to a place until all are done: one loop, for every place.

What is done is read from the registry alone. So the loop can die at any moment and be started again, here or elsewhere.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sslcli.console.live import LiveTable
from sslcli.console.messages import say
from sslcli.errors import Interrupted, StateError
from sslcli.runs.run import Run
from sslcli.studies.hands import Hands
from sslcli.studies.places.place import Ended, Job, Place
from sslcli.studies.signals import Signals
from sslcli.studies.states import COLUMNS, FAILED, FINISHED, RUNNING, State, changes, foremost, state_of_job, summary

LOOK_EVERY = 0.5  # seconds between two looks at the place and the registry
TRIES = 3  # of a job that is killed before its end
HUNG_UP = 129  # the exit code after SIGHUP
OUTPUT = 3  # last lines of a failed job's output that are shown


class Launcher:
    """The jobs of a study that are not done, and the place that takes them, called `place` in tickets."""

    def __init__(self, hands: Hands, jobs: Sequence[Job], place: Place, *, key: str) -> None:
        self.hands, self.registry, self.place, self.key = hands, hands.registry, place, key
        self.jobs = {job.run: job for job in jobs}
        self.failed: dict[str, str] = {}
        self.signals = Signals()
        self._done: set[str] = set()
        self._here: set[str] = set()
        self._tries = Counter[str]()
        self._attempts: dict[str, int] = {}  # of runs that had begun before
        self._before: dict[str, str] = {}
        self._idle: dict[str, tuple[str, State]] = {}  # of runs that nobody works on: their status, and how they stand

    @property
    def at_work(self) -> int:
        """The number of jobs that the place has."""
        return len(self._here)

    def run(self, table: LiveTable) -> None:
        """Give jobs to the place until each has ended; a StateError at the end names those that failed."""
        runs = self._look()
        self._adopt(runs)
        self._before = {state.job: state.state for state in self._states(runs)}
        while self._open():
            self._start(runs)
            with self.signals.held_back():
                ended = self.place.ended()
                runs = self._look()
                for job in ended:
                    self._take_back(runs[job.run], job)
            self._show(runs, table)
            if self._open():
                time.sleep(LOOK_EVERY)
        for name in self._done:
            self.hands.tidy(runs[name])
        if self.failed:
            raise StateError(self._of_failures())

    def _look(self) -> dict[str, Run]:
        """The runs of all jobs; those that are finished are noted."""
        runs = {run.id: run for run in self.registry.runs() if run.id in self.jobs}
        if lost := self.jobs.keys() - runs.keys():
            raise StateError(f"run {min(lost)} is no longer in the registry; type the study again")
        self._done.update(name for name, run in runs.items() if run.status == FINISHED)
        return runs

    def _adopt(self, runs: Mapping[str, Run]) -> None:
        """Take over the jobs that a dead launcher gave to the same place and that are still there."""
        with self.hands.entering():
            for job in self._open():
                ticket = self.hands.ticket(runs[job.run])
                if ticket is None or ticket.place != self.key or self.hands.elsewhere(runs[job.run]):
                    continue
                if self.place.adopt(job, ticket.called):
                    self._here.add(job.run)
                    self.hands.take(runs[job.run], self.key, called=ticket.called)

    def _open(self) -> list[Job]:
        """The jobs that are neither done nor failed, nor need one that failed."""
        return [job for name, job in self.jobs.items() if name not in self._done and not self._is_hopeless(job)]

    def _is_hopeless(self, job: Job) -> bool:
        return job.run in self.failed or any(
            need not in self._done and need in self.jobs and self._is_hopeless(self.jobs[need]) for need in job.needs
        )

    def _ready(self, runs: Mapping[str, Run]) -> Iterator[Job]:
        """The jobs that can be started now, and that nobody has."""
        return (
            job for job in self._open()
            if job.run not in self._here and self._done.issuperset(job.needs) and not self.hands.is_busy(runs[job.run])
        )  # fmt: skip

    def _start(self, runs: Mapping[str, Run]) -> None:
        if (room := self.place.room()) < 1:
            return
        with self.hands.entering():
            jobs = list(islice(self._ready(runs), room))
            runs = self._look() if jobs else runs  # what was at work and is not may have finished since
            jobs = [job for job in jobs if job.run not in self._done and not self.hands.is_busy(runs[job.run])]
            for job in jobs:
                run = runs[job.run]
                if run.status == RUNNING:  # its process is dead, here or on another machine
                    self.registry.give_up(run)
                if run.status == FAILED or self.registry.heartbeat(run) is not None:
                    self._attempts[job.run] = len(self.registry.load(run).attempts)
                self.hands.take(run, self.key)
        if not jobs:
            return
        with self.signals.held_back():
            for job, called in zip(jobs, self.place.start(jobs), strict=True):
                self._here.add(job.run)
                self._tries[job.run] += 1
                if self.place.outlives:  # a later launcher asks for it by this name
                    self.hands.take(runs[job.run], self.key, called=called)

    def _take_back(self, run: Run, ended: Ended) -> None:
        """Judge a job that ended by its record; one that was killed may be tried again."""
        self._here.discard(run.id)
        self._idle.pop(run.id, None)
        self.hands.drop(run.id)
        if run.status == FINISHED or self.registry.is_claimed(run):  # another process has it
            return
        record = self.registry.give_up(run) if run.status == RUNNING else self.registry.load(run)
        if record.status == FINISHED:
            return
        begun = len(record.attempts) > self._attempts.get(run.id, 0)
        if record.status == FAILED and begun:
            self.failed[run.id] = record.error or ended.why
        elif self._tries[run.id] >= TRIES or (ended.code is not None and not begun):
            self.failed[run.id] = f"{ended.why}; {self._last_words(self.jobs[run.id])}"
        else:
            say(f"{run.id}: ended before it was done ({ended.why}); it goes on")

    def _last_words(self, job: Job) -> str:
        path = job.output(self.registry.root)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return " / ".join(line for line in lines[-OUTPUT:] if line.strip()) or "it printed nothing"

    def _states(self, runs: Mapping[str, Run]) -> list[State]:
        found = []
        for name, job in self.jobs.items():
            state = self._state(job, runs[name])
            if name in self._here and state.state not in (RUNNING, FINISHED):
                state = State(name, self.place.taken, left=state.left)
            elif name in self.failed:
                state = State(name, FAILED)
            found.append(state)
        return found

    def _state(self, job: Job, run: Run) -> State:
        """How a job stands. Of thousands that wait nothing is read again until their entry changes, or they were here."""
        if run.id not in self._here and run.status != RUNNING and self._idle.get(run.id, ("",))[0] == run.status:
            return self._idle[run.id][1]
        state = state_of_job(self.registry, run, minutes=job.minutes)
        self._idle[run.id] = run.status, state
        return state

    def _show(self, runs: Mapping[str, Run], table: LiveTable) -> None:
        states = self._states(runs)
        if table.drawn:
            rows = [state.row() for state in foremost(states, table.room)]
            table.show(rows, summary(states, workers=len(self._here)))
        else:
            for line in changes(self._before, states):
                say(line)
        self._before = {state.job: state.state for state in states}

    def _of_failures(self) -> str:
        """What failed, why, and which jobs were left for it."""
        left = [job.run for job in self.jobs.values() if job.run not in self._done and job.run not in self.failed]
        waiting = f"; {len(left)} jobs that need them were left" if left else ""
        told = "\n".join(f"  {run}: {why}" for run, why in self.failed.items())
        return f"{len(self.failed)} of {len(self.jobs)} jobs failed{waiting}; to try them again, type the study again:\n{told}"


def launch(hands: Hands, jobs: Sequence[Job], place: Place, *, key: str) -> None:
    """Do every job at a place. A signal ends the jobs, which save; a closed terminal leaves those that outlive it alone."""
    launcher = Launcher(hands, jobs, place, key=key)
    with LiveTable(COLUMNS) as table, launcher.signals.heard():
        try:
            launcher.run(table)
        except BaseException as stopped:
            if place.outlives and not (isinstance(stopped, Interrupted) and stopped.exit_code != HUNG_UP):
                hands.leave()
            else:
                if isinstance(stopped, Interrupted) and launcher.at_work:
                    say(f"{launcher.at_work} jobs save and end; press Ctrl-C again only if you do not want to wait for them")
                place.end()
            raise
        finally:
            place.close()
