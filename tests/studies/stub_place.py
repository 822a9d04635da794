"""A place for tests whose jobs are stubs: each ends at the next look, as a plan says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sslcli.files import now
from sslcli.runs.registry import Registry
from sslcli.runs.run import Attempt
from sslcli.studies.places.place import Ended, Job, Place

Outcome = Callable[[str, int], str]
"""From a run's id and the number of the try to the status in which the stub leaves its run."""


def always_finished(run: str, tried: int) -> str:  # noqa: ARG001
    return "finished"


class Stub(Place):
    """Jobs that are done at once. `started` lists the runs in their order, `batches` how many were started at once."""

    def __init__(self, registry: Registry, *, room: int = 4, outcome: Outcome = always_finished) -> None:
        self.registry, self.size, self.outcome = registry, room, outcome
        self.here: list[Job] = []
        self.started: list[str] = []
        self.batches: list[int] = []
        self.adoptable: set[str] = set()
        self.was_ended = False

    def room(self) -> int:
        return self.size - len(self.here)

    def start(self, jobs: Sequence[Job]) -> list[str]:
        self.batches.append(len(jobs))
        self.here += jobs
        self.started += [job.run for job in jobs]
        return [f"ticket of {job.run}" for job in jobs]

    def adopt(self, job: Job, ticket: str) -> bool:
        if ticket not in self.adoptable:
            return False
        self.here.append(job)
        return True

    def ended(self) -> list[Ended]:
        jobs, self.here = self.here, []
        for job in jobs:
            run = self.registry.load(self.registry.find(job.run))
            run.status = self.outcome(job.run, self.started.count(job.run))
            run.attempts.append(Attempt(started=now(), status=run.status))
            run.error = "it went wrong" if run.status == "failed" else None
            self.registry.beat(run)
            self.registry.save(run)
        return [Ended(job.run, "code 3" if self.outcome is not always_finished else "code 0") for job in jobs]

    def end(self) -> None:
        self.was_ended = True
