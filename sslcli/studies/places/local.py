"""--on local:N: N processes on this machine, each with its share of the cores."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sslcli.errors import StateError, UsageError
from sslcli.studies.places.place import Asked, Ended, Entry, Job, Place, ended_with
from sslcli.training.device import THREADS, share_of_threads

MOST = 1024  # processes
ALONE = ("local", "local:1")
"""What --on says of a single process: the launcher's own."""


class Local(Place):
    """Child processes of the launcher. They outlive it only if it is killed; each then goes on to its end."""

    def __init__(self, project: Path, *, processes: int) -> None:
        self._project, self._processes = project, processes
        self._threads = share_of_threads(processes)
        self._here: dict[str, subprocess.Popen[bytes]] = {}

    def room(self) -> int:
        """The number of processes that are not at work."""
        return self._processes - len(self._here)

    def start(self, jobs: Sequence[Job]) -> list[str]:
        """Start a process for each job, in a group of its own: Ctrl-C reaches the launcher alone, which ends them."""
        environment = os.environ | dict.fromkeys(THREADS, str(self._threads))
        for job in jobs:
            try:
                self._here[job.run] = self._process(job, environment)
            except OSError as error:
                raise StateError(
                    f"{job.run} cannot be started on this machine: {error}; when this is mended, type the study again"
                ) from error
        return [str(self._here[job.run].pid) for job in jobs]

    def _process(self, job: Job, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with open(job.output(self._project), "ab") as output:
            return subprocess.Popen(  # noqa: S603  (our own command)
                job.words(self._project), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment, start_new_session=True,
            )  # fmt: skip

    def ended(self) -> list[Ended]:
        """The processes that ended, by their codes or signals."""
        codes = {run: code for run, process in self._here.items() if (code := process.poll()) is not None}
        for run in codes:
            del self._here[run]
        return [ended_with(run, code) for run, code in codes.items()]

    def end(self) -> None:
        """SIGTERM: each process finishes its step, saves, and ends."""
        for process in self._here.values():
            process.terminate()
        for process in self._here.values():
            process.wait()


def _open(asked: Asked) -> Local:
    where = asked.where or "1"
    if not (where.isascii() and where.isdecimal() and 1 <= int(where) <= MOST):
        raise UsageError(f"--on local:{where}: accepted is local:N with a number of processes N from 1 to {MOST}")
    return Local(asked.registry.root, processes=int(where))


PLACE = Entry(key="local", form="local[:N]", about="N processes on this machine share its cores; default: 1", open=_open)
