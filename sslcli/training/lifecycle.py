"""A run's life: claimed, running, and then finished, interrupted or failed. Signals are handled here and only here."""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sslcli.errors import Interrupted, StateError
from sslcli.files import now, remove_unfinished
from sslcli.registry import Registry, Run

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if name in signal.Signals.__members__]
BEAT_EVERY = 10.0  # seconds between two signs of life


class Stop:
    """A request to stop. Outside `deferred` it takes effect at once, inside it when the block ends.

    `requested` is the signal's number, or 0. A second signal does not wait.
    """

    def __init__(self) -> None:
        self.requested = 0
        self._deferring = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """The signal handler."""
        again = bool(self.requested)
        self.requested = number
        if again or not self._deferring:
            raise Interrupted(number)

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
def running(registry: Registry, run: Run) -> Iterator[Stop]:
    """Hold a run while it is worked on, and write down how that ended.

    Leaving the block normally makes the run finished; Interrupted makes it interrupted, any other exception failed.
    """
    with registry.claim(run):
        vars(run).update(vars(registry.load(run)))  # another process may have gone on with it meanwhile
        if run.status == "finished":
            raise StateError(f"run {run.id} is finished: there is nothing to go on with")
        if elsewhere := registry.elsewhere(run):
            advice = registry.command(f"ssl resume {run.id} --force")
            raise StateError(f"run {run.id} is running {elsewhere}; if it is surely dead there, type: {advice}")
        remove_unfinished(registry.path(f"{run.folder}/checkpoints/*.pt"))
        stop = Stop()
        previous = {number: signal.signal(number, stop) for number in SIGNALS}
        attempt = {"started": now(), "host": platform.node(), "process": os.getpid()}
        run.status, run.error = "running", None
        run.attempts.append(attempt)
        try:
            with _beating(registry, run):
                registry.save(run)
                yield stop
            run.status = "finished"
        except (Interrupted, KeyboardInterrupt) as error:
            run.status = "interrupted"
            advice = f"to go on, type: {registry.command(f'ssl resume {run.id}')}"
            raise Interrupted(stop.requested or signal.SIGINT, advice) from error
        except BaseException as error:
            run.status, run.error = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            attempt["ended"], attempt["status"] = now(), run.status
            registry.save(run)
