"""A run's life: claimed, running, and then finished, interrupted or failed. Signals are handled here and only here."""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sslcli.distributed import largest, rank, world
from sslcli.errors import Interrupted, PeerLostError, StateError
from sslcli.files import now, remove_unfinished
from sslcli.runs.registry import Registry
from sslcli.runs.run import Attempt, Run

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if name in signal.Signals.__members__]
BEAT_EVERY = 10.0  # seconds between two signs of life
PATIENCE = 2.0  # seconds to wait for a run that another process asks the status of


class Stop:
    """A request to stop. Outside `deferred` it takes effect at once, inside it when the block ends and it was agreed on.

    Of several processes one alone cannot stop at once: there it always waits to be agreed on. `requested` is the number of
    the signal that takes effect, or 0. A second signal does not wait.
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
        """The request that is to take effect, the same on every process: whichever of them was asked."""
        self.requested = largest(self._asked)
        return self.requested

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block (a step and the saving after it) finish before a request to stop takes effect."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.requested:
            raise Interrupted(self.requested)

    def heed(self) -> None:
        """Let a request take effect that came too late for the last step's end to agree on it."""
        if self.agreed():
            raise Interrupted(self.requested)


@contextmanager
def _beating(registry: Registry, run: Run) -> Iterator[None]:
    """Write the run's heartbeat at once, and then every BEAT_EVERY seconds from a thread of its own."""
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


@contextmanager
def _listening(stop: Stop) -> Iterator[None]:
    """Have signals be requests to stop, but for SIGHUP under nohup, which has it ignored; only Python's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in SIGNALS if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def running(registry: Registry, run: Run) -> Iterator[Stop]:
    """Hold a run while it is worked on, and write down how that ended.

    Leaving the block normally makes the run finished; Interrupted makes it interrupted, and so does a process that is lost;
    any other exception failed. Of several processes the first does it for all.
    """
    stop = Stop()
    if rank() > 0:
        with _listening(stop):
            yield stop
        return
    with registry.claim(run, patience=PATIENCE):
        vars(run).update(vars(registry.load(run)))  # another process may have gone on with it meanwhile
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
            with _listening(stop), _beating(registry, run):
                registry.save(run)
                yield stop
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
            registry.save(run)
