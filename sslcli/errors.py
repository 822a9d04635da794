"""Errors that a user can cause, with their exit codes. Any other exception is a bug of ours."""

from __future__ import annotations

import signal


class UserError(Exception):
    """An error that a user can cause and fix. Says what was wrong, the value, what is accepted, the command to type."""

    exit_code = 2


class UsageError(UserError):
    """The command line, an option or the content of a file is wrong."""


class StateError(UserError):
    """The state does not allow it: no such run, no data, no GPU, a damaged checkpoint, a full disk."""

    exit_code = 3


class DivergedError(StateError):
    """A loss or a weight is no longer a number."""


class PeerLostError(StateError):
    """Another process of this training has ended or cannot be reached."""


class Interrupted(BaseException):
    """A signal stopped the run after its state was saved. Not an Exception, so that no library catches it as one."""

    def __init__(self, number: int, advice: str = "") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}" + (f"; {advice}" if advice else ""))
        self.exit_code = {"SIGINT": 130, "SIGHUP": 129}.get(signal.Signals(number).name, 143)
