"""A launcher that is asked to stop while it starts jobs."""

import os
import signal

import pytest

from sslcli.errors import Interrupted, StateError
from sslcli.studies.signals import Signals


def test_a_signal_takes_effect_at_the_end_of_the_block_and_in_the_place_of_its_error() -> None:
    signals, done = Signals(), []

    def submit() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the job is known")
        raise StateError("the program that submits was interrupted, too")

    with pytest.raises(Interrupted) as stopped, signals.heard(), signals.held_back():
        submit()
    assert done
    assert stopped.value.number == signal.SIGINT
