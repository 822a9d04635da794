"""The life of a run: claimed, running, then finished, interrupted or failed. Signals are handled only here."""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sslcli.distributed import largest, rank, world
from sslcli.errors import Interrupted, PeerLostError, StateError, UserError
from sslcli.files import now, remove_unfinished
from sslcli.runs.registry import Registry
from sslcli.runs.run import Attempt, Run

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if name in signal.Signals.__members__]
BEAT_EVERY = 10.0  # seconds between two heartbeats
PATIENCE = 2.0  # seconds to wait for a run while another process asks for its status


class Stop:
    """A request to stop. Outside `deferred` it takes effect at once; inside, at the end of the block, after agreement.

    With several processes, one process cannot stop alone: there a request always waits for agreement. `requested` is the
    number of the signal that takes effect, or 0. A second signal does not wait.
    """

    def __init__(self) -> None:
        self.requested = 0
        self._asked = 0
        self._deferring = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """The signal handler."""
        again = bool(self._asked)
        self._asked = number
        if again or not (self._deferring or world() > 1):
            self.requested = number
            raise Interrupted(number)

    def agreed(self) -> int:
        """Agree on the request that takes effect, the same on every process, whichever of them got it."""
        self.requested = largest(self._asked)
        return self.requested

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Finish the block (a step and its saving) before a request to stop takes effect."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.requested:
            raise Interrupted(self.requested)

    def heed(self) -> None:
        """Let a request take effect that came too late for agreement at the end of the last step."""
        if self.agreed():
            raise Interrupted(self.requested)


@contextmanager
def _beating(registry: Registry, run: Run) -> Iterator[None]:
    """Write the run's heartbeat at once, then every BEAT_EVERY seconds from a thread."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY):
            registry.beat(run)

    registry.beat(run)
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def heeded() -> list[signal.Signals]:
    """The signals that ask a run to stop; without SIGHUP under nohup, which ignores it."""
    return [number for number in SIGNALS if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def listening(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `stop` in the block for a signal that asks a run to stop. Only Python's main thread can; elsewhere none is heard."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, stop) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def running(registry: Registry, run: Run) -> Iterator[Stop]:
    """Hold a run during the work on it, and record how the work ended.

    A normal end of the block makes the run finished; Interrupted or a lost process makes it interrupted; any other exception
    makes it failed. With several processes the first does this for all.
    """
    stop = Stop()
    if rank() > 0:
        with listening(stop):
            yield stop
        return
    with registry.claim(run, patience=PATIENCE):
        vars(run).update(vars(registry.load(run)))  # another process may have continued it since
        if run.status == "finished":
            raise StateError(f"run {run.id} is finished; there is nothing to resume")
        if elsewhere := registry.elsewhere(run):
            advice = registry.command(f"ssl resume {run.id} --force")
            raise StateError(f"run {run.id} is running {elsewhere}; if you are sure that it is dead there, type: {advice}")
        for file in ("checkpoints/*.pt", ".heartbeat"):
            remove_unfinished(registry.path(f"{run.folder}/{file}"))
        attempt: Attempt = {"started": now(), "host": platform.node(), "process": os.getpid()}
        run.status, run.error = "running", None
        run.attempts.append(attempt)
        advice = f"to go on, type: {registry.command(f'ssl resume {run.id}')}"
        try:
            with listening(stop), _beating(registry, run):
                registry.save(run)
                yield stop
                hold_to_own(registry, run)
            run.status = "finished"
        except (Interrupted, KeyboardInterrupt) as error:
            run.status = "interrupted"
            raise Interrupted(stop.requested or signal.SIGINT, advice) from error
        except PeerLostError as error:
            run.status = "interrupted"
            raise PeerLostError(f"{error}; {advice}") from error
        except BaseException as error:
            run.status, run.error = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            attempt["ended"], attempt["status"] = now(), run.status
            if _is_own(registry, run):
                registry.save(run)


def hold_to_own(registry: Registry, run: Run) -> None:
    """A StateError if another process has taken the run over, because this one slept or was out of reach. Locks do not cross
    every network, so the record on the disk decides: its last attempt is the owner's."""
    if not _is_own(registry, run):
        there = registry.load(run).attempts[-1]
        raise StateError(
            f"run {run.id} was taken over by process {there.get('process')} on {there.get('host')} since; this process writes "
            "nothing more"
        )


def _is_own(registry: Registry, run: Run) -> bool:
    """Whether the record's last attempt is that of `run`; a record that cannot be read was taken by nobody."""
    try:
        there = registry.load(run).attempts
    except UserError:
        return True
    return [attempt.get("started") for attempt in there] == [attempt.get("started") for attempt in run.attempts]
