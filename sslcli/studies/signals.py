"""Signals that ask a launcher to stop: at once, or when a piece of work is whole that must not be left half done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sslcli.errors import Interrupted
from sslcli.training.lifecycle import heeded, listening

ADVICE = "to go on with the rest, type the study again"


class Signals:
    """What a launcher does at a signal that asks it to stop. A second one kills."""

    def __init__(self) -> None:
        self._asked = 0
        self._held_back = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Such a signal raises Interrupted in the block, where Python's main thread runs it."""
        with listening(self._hear):
            yield

    def _hear(self, number: int, _: FrameType | None) -> None:
        for other in heeded():
            signal.signal(other, signal.SIG_DFL)
        self._asked = number
        if not self._held_back:
            self._stop()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A signal in the block takes effect at its end: a job that was just begun is then known, and ends with the others."""
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False
            if self._asked:
                self._stop()  # also in the place of an error: Ctrl-C reaches the program that submits, too

    def _stop(self) -> None:
        raise Interrupted(self._asked, ADVICE)
