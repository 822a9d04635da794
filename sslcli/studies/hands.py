"""Who works on a study's runs: a ticket in a run's folder names the launcher that has it, and a living launcher holds a lock.

So two launchers, also on two machines that share the project, never do the same run, and a dead launcher's runs are free at
once. No two machines' clocks are compared. Imports no torch.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sslcli.errors import StateError
from sslcli.files import write_text
from sslcli.locks import MARK, HeldError, is_held, locked
from sslcli.runs.heartbeat import Heartbeat
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

FOLDER = "runs/.launchers"
TICKET = ".ticket"
GLANCE = 10.0  # seconds in which somebody who looks whether a lock is held is done
PATIENCE = 3600.0  # seconds to wait while another launcher enters its runs: it may be timing steps for --minutes
STILL = 120.0  # seconds, twelve heartbeats, after which a process on another machine counts as dead


@dataclass(frozen=True)
class Ticket:
    """Which launcher has a run, at which place, and what the place calls the job ("" before it has a name)."""

    launcher: str
    place: str
    called: str = ""


class Hands:
    """The runs that this launcher has in its hands."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry, self.name = registry, name
        self._had: dict[str, Run] = {}
        self._beats: dict[str, tuple[Heartbeat | None, float]] = {}

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Look for runs, enter new ones and take them: one launcher at a time."""
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.registry.path(FOLDER) / ".lock", timeout=PATIENCE))
            except HeldError as error:
                raise StateError(
                    f"another ssl study has been entering its runs for {PATIENCE:g} s: {error}; to end it, press Ctrl-C where "
                    "it runs; then type the study again"
                ) from None
            yield

    def take(self, run: Run, place: str, *, called: str = "") -> None:
        """Take a run, or record what its place calls it now."""
        self._had[run.id] = run
        write_text(self._path(run), json.dumps(asdict(Ticket(self.name, place, called))))

    def drop(self, run: str) -> None:
        """Let go of a run by its id; of one that was not taken nothing."""
        if (had := self._had.pop(run, None)) is not None:
            self._path(had).unlink(missing_ok=True)

    def leave(self) -> None:
        """Keep the tickets for a later launcher: the jobs go on without this one."""
        self._had.clear()

    def ticket(self, run: Run) -> Ticket | None:
        """The ticket in a run's folder; None if there is none, or it cannot be read."""
        try:
            return Ticket(**json.loads(self._path(run).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def elsewhere(self, run: Run) -> bool:
        """Whether another launcher that is alive has a run."""
        ticket = self.ticket(run)
        return ticket is not None and ticket.launcher != self.name and is_held(_lock_of(self.registry, ticket.launcher))

    def tidy(self, run: Run) -> None:
        """Remove the ticket that a dead launcher left in the folder of a run."""
        if self.ticket(run) is not None and not self.elsewhere(run):
            self._path(run).unlink(missing_ok=True)

    def is_busy(self, run: Run) -> bool:
        """Whether somebody works on a run: another launcher, or a process here or on another machine.

        A process on another machine is dead if no lock says that it lives, and its heartbeat has not changed for STILL seconds
        of this machine's clock.
        """
        if self.elsewhere(run):
            return True
        if self.registry.status(run) != "running":
            return False
        return self.registry.is_claimed(run) or not self._is_still(run)

    def _is_still(self, run: Run) -> bool:
        beat, now = self.registry.heartbeat(run), time.monotonic()
        known, since = self._beats.get(run.id, (None, now))
        if beat != known:
            self._beats[run.id] = beat, now
        return beat == known and now - since > STILL

    def others(self) -> bool:
        """Whether another launcher is alive in this project."""
        locks = self.registry.path(FOLDER).glob("*.launcher")
        return any(is_held(path) for path in locks if path.stem != self.name)

    def _path(self, run: Run) -> Path:
        return self.registry.path(f"{run.folder}/{TICKET}")


@contextmanager
def at_work(registry: Registry) -> Iterator[Hands]:
    """Be a launcher: alive while its lock is held. At the end its tickets are gone, but those that were left."""
    hands = Hands(registry, secrets.token_hex(8))
    lock = _lock_of(registry, hands.name)
    with ExitStack() as alive:
        with hands.entering():  # so that nobody takes a lock that is just being made for a dead launcher's
            _clear(registry)
            alive.enter_context(locked(lock, timeout=GLANCE))
        try:
            yield hands
        finally:
            for run in [*hands._had]:
                hands.drop(run)
            lock.unlink(missing_ok=True)


def _lock_of(registry: Registry, launcher: str) -> Path:
    return registry.path(f"{FOLDER}/{launcher}.launcher")


def _clear(registry: Registry) -> None:
    """Remove the locks of dead launchers."""
    for path in registry.path(FOLDER).glob("*.launcher"):
        if not is_held(path):
            for left in (path, Path(f"{path}{MARK}")):
                left.unlink(missing_ok=True)
