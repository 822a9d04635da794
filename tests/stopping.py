"""A training that is stopped by a signal, as Ctrl-C or a cluster stops it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sslcli.training.log import Log


@contextmanager
def signal_after(
    step: int, number: int = signal.SIGINT, *, when: Callable[[Log], bool] = lambda _: True
) -> Iterator[pytest.MonkeyPatch]:
    """Meanwhile this process gets a signal after that step of a training, as its log counts them, if `when(log)` is true.

    Gives what can patch more for as long.
    """
    original = Log.step

    def step_then_signal(self: Log, count: int, **values: float) -> None:
        original(self, count, **values)
        if count == step and when(self):
            os.kill(os.getpid(), number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "step", step_then_signal)
        yield patch
