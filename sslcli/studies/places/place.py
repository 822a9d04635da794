"""The contract of a place where a study's jobs run: the cores of this machine, a scheduler, other machines.

A place is one file that defines PLACE, and one line in the table of `sslcli.studies.places`. The launcher decides which jobs
are ready, who works on them when two launchers share a study, and what is shown. A place starts the jobs that it is given,
says which of them ended, and can end them. Whether a job is done is in the registry alone: a place that does not share the
project's files with its workers first brings the job's whole folder back, at once or not at all, and only then says that the
job ended.
"""

from __future__ import annotations

import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sslcli.options.study import Study
from sslcli.runs.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training of a study, in the registry as `run`. Its command starts or continues it, and ends at once if it is finished.

    `folder` is the run's folder, relative to the project. `needs` are the runs that must be finished first. `device` is the
    option: auto, cuda, mps or cpu. `minutes` are expected; None: not measured.
    """

    run: str
    folder: str
    needs: tuple[str, ...] = ()
    device: str = "auto"
    minutes: float | None = None

    @property
    def joins_processes(self) -> bool:
        """Whether several processes can do it together: only a pretraining."""
        return self.folder.startswith("runs/pretrain/")

    def words(self, project: Path, *, python: str = sys.executable) -> list[str]:
        """The command, word by word. It may be given any number of times, one after the other or at once."""
        return [python, "-m", "sslcli", "resume", self.run, "--if-needed", "--project", str(project)]

    def output(self, project: Path) -> Path:
        """The file that a place appends everything to that the command prints."""
        return project / self.folder / "output.txt"


@dataclass(frozen=True)
class Ended:
    """A job that is no longer at its place, and why, in words for a person: code 3, SIGKILL, the node was lost.

    `code` is its exit code if it ended by itself: then one that has not even begun its run is not tried again.
    """

    run: str
    why: str
    code: int | None = None


def ended_with(run: str, code: int) -> Ended:
    """How a job's process ended, from its code as `subprocess` gives it: negative for the number of a signal."""
    if code >= 0:
        return Ended(run, f"code {code}", code)
    names = {int(known): known.name for known in signal.Signals}
    return Ended(run, names.get(-code, f"signal {-code}"))


class Place(ABC):
    """Where jobs run. One launcher uses it, from one thread; no method waits for a job."""

    outlives: bool = False
    """Whether its jobs go on without the launcher (a scheduler has them): a closed terminal then leaves them alone."""
    taken: str = "starting"
    """The state of a job that it has taken and that has not begun its training; "submitted" where there is a queue."""

    @abstractmethod
    def room(self) -> int:
        """How many more jobs it takes now; a scheduler with a queue takes any number."""

    @abstractmethod
    def start(self, jobs: Sequence[Job]) -> list[str]:
        """Start jobs that are ready, at most `room`. Returns for each what the place calls it, for `adopt` by a later launcher.

        The launcher gives all that are ready at once, so that they can become one array. A job that was ended or lost may be
        given again.
        """

    def adopt(self, job: Job, ticket: str) -> bool:  # noqa: ARG002
        """Whether a job that an earlier launcher started is still here, queued or running; `ended` then reports it, too."""
        return False

    @abstractmethod
    def ended(self) -> list[Ended]:
        """The jobs that ended since the last call, however they ended. Returns at once."""

    @abstractmethod
    def end(self) -> None:
        """Ask every job that is still here to save and to end (SIGTERM, scancel); wait until they have. For Ctrl-C."""

    def close(self) -> None:  # noqa: B027  (most hold nothing)
        """Let go of what the place holds; its jobs have ended, or outlive the launcher."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked of a place: `--on KEY:WHERE` (`where` is "" without a colon) and the options of the study."""

    registry: Registry
    command: Study
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A place in the table. `open` returns it, or raises a UserError that says what is missing, before anything is trained.

    `form` and `about` are for `--help` and messages: how `--on` names the place, and what it is. `elsewhere`: its jobs run on
    other machines, which may have a GPU that this one lacks; the study is then settled on this one's CPU.
    """

    key: str
    form: str
    about: str
    open: Callable[[Asked], Place]
    elsewhere: bool = False
