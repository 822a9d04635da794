"""Errors that a user can cause, with their exit codes, and words that their messages share.

Any other exception is a bug of ours.
"""

from __future__ import annotations

import difflib
import shlex
import signal
from collections.abc import Iterable
from pathlib import Path

from sslcli.paths import relative


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
        self.number = number
        self.exit_code = {"SIGINT": 130, "SIGHUP": 129}.get(signal.Signals(number).name, 143)


def nearest(value: str, known: Iterable[str]) -> str | None:
    """The closest known word; None if none is close."""
    return next(iter(difflib.get_close_matches(value, list(known), 1)), None)


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """The closest known word as a question; "" if none is close."""
    close = nearest(value, known)
    return f"did you mean {close!r}? " if close else ""


def install_line(extra: str) -> str:
    """The line that installs an extra of this program: from the clone that is running, else from the package index."""
    clone = Path(__file__).parents[1]
    if not (clone / "pyproject.toml").is_file():
        return f"pip install 'sslcli[{extra}]'"
    return shlex.join(["pip", "install", "-e", f"{relative(clone)}[{extra}]"])
