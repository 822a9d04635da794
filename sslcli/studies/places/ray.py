"""--on ray[:ADDRESS]: each job is a task of a Ray cluster (https://docs.ray.io).

Where every node sees the project's files, the jobs work on them. Else the folders of a job and of the runs that it needs go
to the node with the task, and the job's folder comes back with its result: whole, or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

from typer import Option

from sslcli.errors import StateError, install_line
from sslcli.runs.registry import Registry
from sslcli.studies.on_worker import Work
from sslcli.studies.parcels import finish_unpacking, pack, unpack
from sslcli.studies.places.place import Asked, Ended, Entry, Job, Place, ended_with
from sslcli.studies.places.request import Request, request_of
from sslcli.studies.ray_cluster import ASK_EVERY, START, Head, all_see, hold_to_resources, join
from sslcli.studies.ray_work import Outcome, do_job, do_part, listening

ROOM = 10**6  # Ray queues what it is given


@dataclass(frozen=True, kw_only=True)
class RayRequest(Request):
    """What a job asks of Ray."""

    retries: Annotated[int, Option(min=0, max=1000, help="How often Ray starts a job again whose node or worker died.")] = 3

    def resources(self, device: str) -> dict[str, int]:
        """The request for a process in Ray's words."""
        found = {"num_cpus": self.cpus, "num_gpus": self.gpus_of(device)}
        return found | ({} if self.memory is None else {"memory": int(self.memory * 2**30)})


class Ray(Place):
    """Tasks of Ray, which end with the launcher. Where its workers see the project, what they saved stays."""

    taken = "submitted"

    def __init__(self, ray: ModuleType, registry: Registry, request: RayRequest, mark: Path, *, owns: bool) -> None:
        self._ray, self._registry, self._request, self._mark, self._owns = ray, registry, request, mark, owns
        self._here: dict[str, list[object]] = {}
        self._groups: dict[str, object] = {}
        self._shared = all_see(ray, mark)
        self._head = Head(ray.get_runtime_context().gcs_address)
        self._sent: dict[str, object] = {}

    def room(self) -> int:
        """More than any study has."""
        return ROOM

    def start(self, jobs: Sequence[Job]) -> list[str]:
        """Give the jobs to Ray. Their tickets are only their names: a task ends with this launcher."""
        self._hold_to_head()
        for job in jobs:
            several = job.joins_processes and self._request.processes > 1
            self._here[job.run] = self._start_together(job) if several else [self._start_one(job)]
        return [job.run for job in jobs]

    def _start_one(self, job: Job) -> object:
        task = self._ray.remote(**self._request.resources(job.device), max_retries=self._request.retries)(do_job)
        return task.remote(self._work(job), job.folder, *self._parcels(job))

    def _start_together(self, job: Job) -> list[object]:
        """The processes of a pretraining, in a placement group: Ray starts all of them or none."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as InGroup

        request, world = self._request, self._request.processes
        resources = request.resources(job.device)
        bundle = {"CPU": request.cpus, "GPU": resources["num_gpus"], "memory": resources.get("memory", 0)}
        group = self._ray.util.placement_group([{name: count for name, count in bundle.items() if count}] * world)
        places = [InGroup(group, placement_group_bundle_index=rank) for rank in range(world)]
        address = self._ray.remote(num_cpus=0, scheduling_strategy=places[0])(listening).remote()
        parcels, work = self._parcels(job), self._work(job)
        self._groups[job.run] = group
        return [
            self._ray.remote(**resources, max_retries=0, scheduling_strategy=place)(do_part).remote(
                work, job.folder, rank, world, address, *(parcels if rank == 0 else parcels[:1])
            )
            for rank, place in enumerate(places)
        ]

    def _work(self, job: Job) -> Work:
        project = self._registry.root
        return Work(
            words=tuple(job.words(project)[1:]), project=project, output=job.output(project), mark=self._mark,
            cpus=self._request.cpus,
        )  # fmt: skip

    def _parcels(self, job: Job) -> list[object]:
        """The job's folder and those of the runs that it needs, in Ray's memory; none if every node sees the project."""
        if self._shared:
            return []
        needed = [self._registry.find(run) for run in job.needs]
        for run in needed:
            if run.id not in self._sent:
                self._sent[run.id] = self._ray.put(pack(self._registry, run.folder))
        return [self._ray.put(pack(self._registry, job.folder)), *(self._sent[run.id] for run in needed)]

    def ended(self) -> list[Ended]:
        """The jobs whose tasks have ended; what came back from a node with files of its own is in the project by then."""
        self._hold_to_head()
        found = []
        for run, tasks in list(self._here.items()):
            ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
            if len(ready) == len(tasks):
                del self._here[run]
                if (group := self._groups.pop(run, None)) is not None:
                    self._ray.util.remove_placement_group(group)
                found.append(self._outcome(run, tasks[0]))
        return found

    def _hold_to_head(self) -> None:
        """A StateError if the head has gone. Its tasks are then no longer here: nothing that is asked of Ray would return."""
        try:
            self._head.hold()
        except StateError:
            self._here.clear()
            raise

    def _outcome(self, run: str, task: object) -> Ended:
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.LocalRayletDiedError as error:
            self._here.clear()
            raise StateError(f"the Ray of this machine has ended; {START}; then type the study again") from error
        except self._ray.exceptions.RayError as error:
            return Ended(run, f"Ray: {type(error).__name__}")
        if outcome.parcel is not None:
            unpack(self._registry, outcome.parcel)
        return Ended(run, outcome.lacks, outcome.code) if outcome.lacks else ended_with(run, outcome.code)

    def end(self) -> None:
        """Cancel the tasks: each asks its command to save, and waits for it. Ray can lose a request, so it is repeated."""
        tasks = [task for tasks in self._here.values() for task in tasks]
        while tasks:
            self._hold_to_head()
            for task in tasks:
                self._ray.cancel(task)
            _, tasks = self._ray.wait(tasks, num_returns=len(tasks), timeout=ASK_EVERY)
        self.ended()

    def close(self) -> None:
        """Leave the cluster."""
        self._mark.unlink(missing_ok=True)
        if self._owns:
            self._ray.shutdown()


def _open(asked: Asked) -> Ray:
    request = request_of(RayRequest, asked.command.job)
    try:
        import ray
    except ImportError as error:
        raise StateError(f"--on ray needs the package ray; to install it, type: {install_line('ray')}") from error
    owns = not ray.is_initialized()
    if owns:
        join(ray, asked.where)
    registry = asked.registry
    finish_unpacking(registry)
    mark = registry.root / "runs" / ".ray" / secrets.token_hex(8)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        hold_to_resources(
            ray, cpus=request.cpus, gpus=request.gpus_of(asked.command.device), memory=request.memory or 0,
            processes=request.processes,
        )  # fmt: skip
        return Ray(ray, registry, request, mark, owns=owns)
    except BaseException:
        mark.unlink(missing_ok=True)
        if owns:
            ray.shutdown()
        raise


PLACE = Entry(
    key="ray", form="ray[:HOST:PORT]", about="tasks of the Ray cluster that this machine belongs to", open=_open, elsewhere=True
)
