"""A run's life: claimed, running, and then finished, interrupted or failed. Signals are handled here and only here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sslcli.errors import Interrupted, StateError
from sslcli.registry import Registry, Run, now

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if name in signal.Signals.__members__]


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
def running(registry: Registry, run: Run) -> Iterator[Stop]:
    """Hold a run while it is worked on, and write down how that ended.

    Leaving the block normally makes the run finished; Interrupted makes it interrupted, any other exception failed.
    """
    with registry.claim(run):
        vars(run).update(vars(registry.load(run)))  # another process may have gone on with it meanwhile
        if run.status == "finished":
            raise StateError(f"run {run.id} is finished: there is nothing to go on with")
        stop = Stop()
        previous = {number: signal.signal(number, stop) for number in SIGNALS}
        attempt = {"started": now()}
        run.status, run.error = "running", None
        run.attempts.append(attempt)
        try:
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
