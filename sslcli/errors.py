"""What a user can cause, and the exit code that it ends with. Anything else that is raised is a bug of ours."""

from __future__ import annotations

import signal


class UserError(Exception):
    """Something that a user can cause and mend: what was wrong, the value, what is accepted, the command to type."""

    exit_code = 2


class UsageError(UserError):
    """The command line, an option or the content of a file is wrong."""


class StateError(UserError):
    """The state of things does not allow it: no such run, no data, no GPU, a damaged checkpoint, a full disk."""

    exit_code = 3


class DivergedError(StateError):
    """A loss or a weight is no longer a number."""


class PeerLostError(StateError):
    """Another of the processes that train as one is gone."""


class Interrupted(BaseException):
    """A signal asked the run to stop, and its state has been saved. No error, so that no library takes it for one."""

    def __init__(self, number: int, advice: str = "") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}" + (f"; {advice}" if advice else ""))
        self.exit_code = {"SIGINT": 130, "SIGHUP": 129}.get(signal.Signals(number).name, 143)
