"""How an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from sslcli.console.messages import bars_ended
from sslcli.console.streams import say_aloud
from sslcli.errors import Interrupted, StateError, UsageError, UserError
from sslcli.launch import Launch, as_typed, read_launch

NO_MEMORY = ("MemoryError", "OutOfMemoryError")
"""The types of errors for too little memory: Python's, and torch's for a GPU."""
NO_MEMORY_SAID = ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED")
"""Texts of torch's other errors for too little memory: CPU, GPU driver and mps, NVIDIA's libraries."""
NOT_DETERMINISTIC = " does not have a deterministic implementation"
"""Torch's text after the name of an operation that --deterministic forbids."""


@contextmanager
def one_voice() -> Iterator[None]:
    """Silence all processes of torchrun but the first. A bug leaves this block, so every process reports it."""
    if _launch().rank == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _launch() -> Launch:
    """How this process was started. With wrong variables: as a single process; each command then reports them."""
    try:
        return read_launch()
    except UsageError:
        return Launch()


@contextmanager
def errors_to_exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn what a user or a signal caused into a message and its exit code. Bars that are still drawn end first."""
    try:
        with bars_ended():
            yield
    except (UserError, Interrupted) as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = 130, f"stopped before the end; to start again, type: {as_typed()}"
    except OSError as error:
        code, message = StateError.exit_code, str(error)
    except (MemoryError, RuntimeError) as error:
        code, message = StateError.exit_code, what_the_machine_lacks(error)
        if not message:
            raise
    else:
        return
    if debug:
        traceback.print_exc()
    if _launch().local_rank == 0:  # each machine reports an error once
        say_aloud(f"ssl: {message}")
    sys.exit(code)


def what_the_machine_lacks(error: Exception) -> str:
    """The message for an error that means the machine cannot do what was asked; "" for a bug."""
    said = str(error)
    if type(error).__name__ in NO_MEMORY or any(words in said for words in NO_MEMORY_SAID):
        return "out of memory: try a smaller --batch-size"
    if NOT_DETERMINISTIC in said:
        operation = said.partition(NOT_DETERMINISTIC)[0]
        return f"--deterministic: torch has no deterministic {operation}; leave it out, or try another --backbone"
    return ""
