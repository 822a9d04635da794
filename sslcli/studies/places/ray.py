"""--on ray[:ADDRESS]: each job is a task of a Ray cluster (https://docs.ray.io).

Where every node sees the project's files, the jobs work on them. Else the folders of a job and of the runs that it needs go
to the node with the task, and the job's folder comes back with its result: whole, or not at all.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from typer import Option

from sslcli import __version__
from sslcli.errors import StateError, UsageError
from sslcli.runs.registry import Registry
from sslcli.studies.on_worker import Work
from sslcli.studies.parcels import finish_unpacking, pack, unpack
from sslcli.studies.places.place import Asked, Ended, Entry, Job, Place
from sslcli.studies.places.request import Request, request_of
from sslcli.studies.ray_work import Outcome, do_job, do_part, listening

ROOM = 10**6  # Ray queues what it is given
ANSWER = 60.0  # seconds that a node may take to say what it has
REACHED = 10.0  # seconds that the head may take to answer
ADDRESS = re.compile(r"(?P<host>[^/:\s]+|\[[0-9a-f:]+\]):(?P<port>[0-9]{1,5})")
START = "to start it, type: ray start --head; to join one, type: ray start --address=HOST:6379"


@dataclass(frozen=True, kw_only=True)
class RayRequest(Request):
    """What a job asks of Ray."""

    retries: Annotated[int, Option(min=0, max=1000, help="How often Ray starts a job again whose node or worker died.")] = 3

    def resources(self, device: str) -> dict[str, Any]:
        """The request for a process in Ray's words."""
        found = {"num_cpus": self.cpus, "num_gpus": self.gpus_of(device)}
        return found | ({} if self.memory is None else {"memory": int(self.memory * 2**30)})


class Ray(Place):
    """Tasks of Ray, which end with the launcher. Where its workers see the project, what they saved stays."""

    def __init__(self, ray: ModuleType, registry: Registry, request: RayRequest, mark: Path, *, owns: bool) -> None:
        self._ray, self._registry, self._request, self._mark, self._owns = ray, registry, request, mark, owns
        self._here: dict[str, list[Any]] = {}
        self._groups: dict[str, Any] = {}
        self._folders: dict[str, str] = {}
        self._shared = _compare_nodes(ray, mark)
        self._sent: dict[str, Any] = {}

    def room(self) -> int:
        """More than any study has."""
        return ROOM

    def start(self, jobs: Sequence[Job]) -> list[str]:
        """Give the jobs to Ray. A ticket says nothing to a later launcher: a task ends with this one."""
        for job in jobs:
            several = job.joins_processes and self._request.processes > 1
            self._here[job.run] = self._start_together(job) if several else [self._start_one(job)]
            self._folders[job.run] = job.folder
        return [self._here[job.run][0].hex() for job in jobs]

    def _start_one(self, job: Job) -> Any:
        task = self._ray.remote(**self._request.resources(job.device), max_retries=self._request.retries)(do_job)
        return task.remote(self._work(job), job.folder, *self._parcels(job))

    def _start_together(self, job: Job) -> list[Any]:
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

    def _parcels(self, job: Job) -> list[Any]:
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
        found = []
        for run, tasks in list(self._here.items()):
            ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
            if len(ready) == len(tasks):
                del self._here[run]
                if (group := self._groups.pop(run, None)) is not None:
                    self._ray.util.remove_placement_group(group)
                found.append(Ended(run, self._outcome(tasks[0])))
        return found

    def _outcome(self, task: Any) -> str:
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return f"Ray: {type(error).__name__}"
        if outcome.parcel is not None:
            unpack(self._registry, outcome.parcel)
        return outcome.lacks or f"code {outcome.code}"

    def end(self) -> None:
        """Cancel the tasks: each asks its command to save, and waits for it."""
        tasks = [task for tasks in self._here.values() for task in tasks]
        for task in tasks:
            self._ray.cancel(task)
        if tasks:
            self._ray.wait(tasks, num_returns=len(tasks))
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
        raise StateError("--on ray needs the package ray; to install it, type: pip install 'sslcli[ray]'") from error
    owns = not ray.is_initialized()
    if owns:
        _join(ray, asked.where)
    registry = asked.registry
    finish_unpacking(registry)
    mark = registry.root / "runs" / ".ray" / secrets.token_hex(8)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        _hold_to_resources(ray, request, asked.command.device)
        return Ray(ray, registry, request, mark, owns=owns)
    except BaseException:
        mark.unlink(missing_ok=True)
        if owns:
            ray.shutdown()
        raise


def _join(ray: ModuleType, where: str) -> None:
    """Join the cluster at an address, by default the one that this machine belongs to; a StateError if that fails."""
    if where and not ADDRESS.fullmatch(where):
        raise UsageError(f"--on ray:{where}: accepted is ray:HOST:PORT with the address of the head, such as ray:10.0.0.1:6379")
    address = where or _of_this_machine()
    if found := ADDRESS.fullmatch(address):
        try:
            socket.create_connection((found["host"], int(found["port"])), timeout=REACHED).close()
        except (OSError, OverflowError) as error:
            raise StateError(f"--on ray: the head of Ray does not answer at {address} ({error}); {START}") from error
    handler = signal.getsignal(signal.SIGTERM)  # Ray replaces it
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StateError(f"--on ray: this machine has not joined a cluster of Ray ({reason}); {START}") from error
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)


def _of_this_machine() -> str:
    """The address of the cluster that this machine belongs to; "auto" if only Ray knows it.

    Ray itself would wait for minutes for a head that is gone.
    """
    with suppress(OSError):
        kept = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")  # noqa: S108  (Ray's own)
        return os.environ.get("RAY_ADDRESS") or kept.read_text(encoding="utf-8").strip() or "auto"
    return "auto"


def _hold_to_resources(ray: ModuleType, request: RayRequest, device: str) -> None:
    """A UsageError if no node could ever do a job: Ray would wait for one without a word."""
    asked = {"CPU": float(request.cpus), "GPU": float(request.gpus_of(device)), "memory": (request.memory or 0) * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= count for name, count in asked.items()) for node in nodes):
        return
    have = "; ".join(f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs, {node.get('memory', 0) / 2**30:.3g} GB"
                     for node in nodes)  # fmt: skip
    raise UsageError(
        f"--job: no node of Ray has {request.cpus} cores, {request.gpus_of(device)} GPUs and {request.memory or 0:g} GB for a "
        f"job; the nodes have: {have}"
    )


def _compare_nodes(ray: ModuleType, mark: Path) -> bool:
    """Whether every node sees the project's files. A StateError if one has no sslcli, or another version of it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    look = _looking()
    answers = {
        node: ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=OnNode(node, soft=False))(look).remote(str(mark))
        for node in nodes
    }
    sees = []
    for node, answer in answers.items():
        try:
            version, marked = ray.get(answer, timeout=ANSWER)
        except ray.exceptions.RayError as error:
            raise StateError(f"--on ray: the node {nodes[node]} does not answer: {type(error).__name__}") from error
        if version != __version__:
            has = f"sslcli {version}" if version else "no sslcli"
            raise StateError(
                f"--on ray: the node {nodes[node]} has {has}, this machine has {__version__}; to install it there, type: "
                f"pip install sslcli=={__version__}"
            )
        sees.append(marked)
    return all(sees)


def _looking() -> Callable[[str], tuple[str, bool]]:
    """A function that Ray sends to a node as code, and not by name: the node may have no sslcli."""

    def look(mark: str) -> tuple[str, bool]:

        try:
            from sslcli import __version__ as version
        except ImportError:
            version = ""
        return version, os.path.isfile(mark)

    return look


PLACE = Entry(
    key="ray", form="ray[:HOST:PORT]", about="tasks of the Ray cluster that this machine belongs to", open=_open, elsewhere=True
)
