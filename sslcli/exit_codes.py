"""What a user sees of an error, and the exit code that it ends with."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from sslcli.console.streams import say_aloud
from sslcli.errors import Interrupted, StateError, UsageError, UserError
from sslcli.launch import Launch, read_launch

NO_MEMORY = ("MemoryError", "OutOfMemoryError")
"""The types of Python's error where the memory does not suffice, and of torch's for a GPU; for a CPU it has none of its own."""


@contextmanager
def one_voice() -> Iterator[None]:
    """Of the processes that torchrun started let the first alone be heard. Bugs are heard from all: they leave this block."""
    if _launch().rank == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _launch() -> Launch:
    """How this process was started; one alone where the environment says what cannot be, of which each command speaks."""
    try:
        return read_launch()
    except UsageError:
        return Launch()


def is_of_memory(error: Exception) -> bool:
    """Whether the memory did not suffice."""
    return type(error).__name__ in NO_MEMORY or "can't allocate memory" in str(error)


@contextmanager
def errors_to_exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn what a user or a signal caused into a message and the exit code that goes with it."""
    try:
        yield
    except (UserError, Interrupted) as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = 130, "stopped"
    except OSError as error:
        code, message = StateError.exit_code, str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_of_memory(error):
            raise
        code, message = StateError.exit_code, "the memory does not suffice: smaller numbers are needed, of --batch-size for one"
    else:
        return
    if debug:
        traceback.print_exc()
    if _launch().local_rank == 0:  # an error is said once on every machine
        say_aloud(f"ssl: {message}")
    sys.exit(code)
