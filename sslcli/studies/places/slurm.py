"""--on slurm: each job is one of Slurm's, submitted with submitit (https://github.com/facebookincubator/submitit).

Jobs that are ready together become one array. Slurm sends SIGUSR1 before a job's time is over: the job saves, is queued
again, and goes on. The queue is read with squeue, which needs no accounting.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from typer import Option

from sslcli.errors import StateError, UsageError, did_you_mean, install_line
from sslcli.studies.on_worker import Work
from sslcli.studies.places.place import Asked, Ended, Entry, Job, Place
from sslcli.studies.places.request import Request, request_of
from sslcli.studies.slurm_work import SlurmWork

FOLDER = "runs/.slurm"
"""Where submitit keeps its files, in the project."""
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
LOOK_EVERY = 2.0  # seconds between two looks at the queue
LARGEST_ARRAY = 1000
"""Jobs of one array: Slurm's own limit, MaxArraySize, is 1001 by default."""
TIMES_REQUEUED = 1000
"""How often a job goes on after its time was over."""
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT")
"""The states of a job that has left the queue (https://slurm.schedmd.com/squeue.html, job state codes)."""
ENDED_BY_ITSELF = ("COMPLETED", "FAILED")
EXIT_CODE = re.compile(r" ExitCode=([0-9]+):([0-9]+)")
"""What scontrol shows: the code, and the number of the signal."""
SIGNALLED = 128  # a shell gives this code, or more, for a program that a signal ended
NOT_BEGUN = ("JobLaunchFailure", "RaisedSignal:53")
"""Slurm's reasons, of older and newer versions, if a node could not open the file for what the job prints."""

OF_SLURM = ("srun:", "slurmstepd")
"""How the lines begin that Slurm itself adds to what a job prints."""


@dataclass(frozen=True, kw_only=True)
class SlurmRequest(Request):
    """What a job asks of Slurm."""

    partition: Annotated[str | None, Option(help="Partition. Default: Slurm's.")] = None
    account: Annotated[str | None, Option(help="Account. Default: yours.")] = None
    qos: Annotated[str | None, Option(help="Quality of service. Default: Slurm's.")] = None
    minutes: Annotated[int, Option(min=1, max=10**6, help="Time of a job. Then it saves, is queued again, and goes on.")] = 60
    nodes: Annotated[int, Option(min=1, max=4096, help="Nodes of a pretraining.")] = 1
    queued: Annotated[int, Option(min=1, max=10**6, help="Most jobs in the queue at once, waiting ones included.")] = 1000
    parallel: Annotated[int, Option(min=1, max=10**6, help="Most jobs of an array at once.")] = 256

    def parameters(self, job: Job) -> dict[str, object]:
        """The request for a job in submitit's words."""
        tasks = self.processes if job.joins_processes else 1
        gpus = self.gpus_of(job.device) * tasks
        found = {
            "partition": self.partition, "account": self.account, "qos": self.qos, "time": self.minutes,
            "nodes": self.nodes if job.joins_processes else 1, "ntasks_per_node": tasks, "cpus_per_task": self.cpus,
            "gpus_per_node": gpus or None, "mem": None if self.memory is None else f"{self.memory * 1024:.0f}M",
            "array_parallelism": self.parallel, "job_name": "ssl", "additional_parameters": {"requeue": True},
            "setup": ["export SUBMITIT_PREEMPT_SIGNAL=USR1"],
            "srun_args": ["--cpus-per-task", str(self.cpus)],  # srun takes it from sbatch no longer, since Slurm 22.05
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


class Row(NamedTuple):
    """A job in Slurm's queue: its state, why it is in it, and its nodes."""

    state: str
    reason: str
    nodes: str


class Slurm(Place):
    """Jobs in Slurm's queue, which go on without the launcher."""

    outlives = True
    taken = "submitted"

    def __init__(self, project: Path, request: SlurmRequest) -> None:
        self._project, self._request = project, request
        self._here: dict[str, str] = {}  # run to ticket
        self._rows: dict[str, Row] = {}
        self._looked = float("-inf")

    def room(self) -> int:
        """What --job queued leaves: clusters limit how many jobs a user may submit."""
        return self._request.queued - len(self._here)

    def start(self, jobs: Sequence[Job]) -> list[str]:
        """Submit the jobs as arrays, one for each kind of request. A ticket is Slurm's number: 17, or 17_3 in an array.

        If Slurm refuses one of the arrays, the others are cancelled: nobody would have their tickets.
        """
        alike: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            alike[str(self._request.parameters(job))].append(job)
        try:
            for group in alike.values():
                for first in range(0, len(group), LARGEST_ARRAY):
                    self._submit(group[first : first + LARGEST_ARRAY])
        except StateError:
            self._cancel([self._here.pop(job.run) for job in jobs if job.run in self._here])
            raise
        self._looked = float("-inf")
        return [self._here[job.run] for job in jobs]

    def _submit(self, jobs: list[Job]) -> None:
        import submitit

        executor = submitit.SlurmExecutor(self._project / FOLDER, max_num_timeout=TIMES_REQUEUED)
        executor.update_parameters(**self._request.parameters(jobs[0]))
        try:
            submitted = executor.submit_array([self._work(job) for job in jobs])
        except submitit.core.utils.FailedJobError as error:
            raise StateError(
                f"Slurm does not take the jobs of the study: {_last_line(str(error))}; change --job (with --job queued=100 "
                "fewer are submitted at once), and type the study again"
            ) from error
        self._here |= {job.run: ticket.job_id for job, ticket in zip(jobs, submitted, strict=True)}

    def _work(self, job: Job) -> SlurmWork:
        request = self._request
        work = Work(
            words=tuple(job.words(self._project)[1:]), project=self._project, output=job.output(self._project),
            mark=self._project / "registry.yaml", cpus=request.cpus,
        )  # fmt: skip
        return SlurmWork(work, together=job.joins_processes and request.nodes * request.processes > 1)

    def adopt(self, job: Job, ticket: str) -> bool:
        """Whether the queue still has a job that an earlier launcher submitted; a StateError while Slurm does not answer."""
        if not self._look():
            raise StateError(
                f"Slurm does not answer, and its queue may still have {job.run} of an earlier launcher; when squeue answers, "
                "type the study again"
            )
        if ticket not in self._rows or self._rows[ticket].state in OVER:
            return False
        self._here[job.run] = ticket
        return True

    def ended(self) -> list[Ended]:
        """The jobs that have left the queue; none while Slurm does not answer."""
        if not self._here or not self._look():
            return []
        gone = {run: ticket for run, ticket in self._here.items()
                if (row := self._rows.get(ticket)) is None or row.state in OVER}  # fmt: skip
        for run in gone:
            del self._here[run]
        return [Ended(run, self._why(ticket), self._code(ticket)) for run, ticket in gone.items()]

    def _why(self, ticket: str) -> str:
        """How a job ended, in Slurm's word, with the last that it said if it failed."""
        row = self._rows.get(ticket, Row("no longer in Slurm's queue", "", ""))
        if row.reason.startswith(NOT_BEGUN):
            return (
                f"Slurm could not begin it on {row.nodes} ({row.reason}); the usual cause: the node does not see the project "
                f"folder {self._project}, which must lie on a file system that all nodes share"
            )
        said = self._project / FOLDER / f"{ticket}_0_log.err"
        lines = said.read_text(encoding="utf-8", errors="replace").splitlines() if said.is_file() else []
        last = [line for line in lines if line.strip() and not line.startswith(OF_SLURM)][-1:]
        return f"{row.state}: {last[0]}" if row.state == "FAILED" and last else row.state

    def _code(self, ticket: str) -> int | None:
        """The exit code of a job; None if it was ended, or did not begin."""
        if ticket not in self._rows or self._rows[ticket].state not in ENDED_BY_ITSELF:
            return None
        found = EXIT_CODE.search(_asked("scontrol", "--oneliner", "show", "job", ticket).stdout)
        code, by_signal = map(int, found.groups()) if found else (0, 1)
        return None if by_signal or code >= SIGNALLED else code

    def end(self) -> None:
        """scancel: Slurm asks each job to save, and takes it out of the queue."""
        asked = False
        while self._here:
            asked = asked or self._cancel(self._here.values())  # Slurm may not answer at once
            time.sleep(LOOK_EVERY)
            self.ended()

    def _cancel(self, tickets: Collection[str]) -> bool:
        """Ask Slurm to end jobs; whether it took that."""
        return not tickets or _asked("scancel", *tickets).returncode == 0

    def _look(self) -> bool:
        """Read the queue, at most every LOOK_EVERY seconds; whether Slurm has answered since the last jobs were submitted."""
        if time.monotonic() - self._looked >= LOOK_EVERY:
            line = ["--noheader", "--array", "--states=all", f"--user={getpass.getuser()}", "--format=%i|%T|%r|%N"]
            shown = _asked("squeue", *line)
            if shown.returncode:
                return False
            self._rows = {number: Row(*rest) for number, *rest in (row.split("|") for row in shown.stdout.splitlines())}
            self._looked = time.monotonic()
        return True


def _asked(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  (one of PROGRAMS)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def _open(asked: Asked) -> Slurm:
    if asked.where:
        raise UsageError(f"--on slurm:{asked.where}: accepted is --on slurm; what each job asks for is --job NAME=VALUE")
    request = request_of(SlurmRequest, asked.command.job)
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise StateError(f"--on slurm: {', '.join(lacking)} not found: this machine has no Slurm; accepted here: --on local")
    try:
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # submitit reads it once
        import submitit  # noqa: F401
    except ImportError as error:
        raise StateError(f"--on slurm needs submitit; to install it, type: {install_line('slurm')}") from error
    shown = _asked("sinfo", "--noheader", "--format=%R")
    if shown.returncode:
        raise StateError(f"--on slurm: Slurm does not answer: {_last_line(shown.stderr)}; to see more, type: sinfo")
    known = sorted(set(shown.stdout.split()))
    if request.partition is not None and request.partition not in known:
        near = did_you_mean(request.partition, known)
        raise UsageError(f"--job partition={request.partition}: no such partition; {near}accepted: {', '.join(known)}")
    return Slurm(asked.registry.root, request)


PLACE = Entry(key="slurm", form="slurm", about="jobs of the Slurm that this machine belongs to", open=_open, elsewhere=True)
