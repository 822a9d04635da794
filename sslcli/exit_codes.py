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
"""The types of Python's error where the memory does not suffice, and of torch's for a GPU."""
NO_MEMORY_SAID = ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED")
"""What torch says in other errors where it does not: of a CPU, of a GPU's driver and of mps, of NVIDIA's libraries."""
NOT_DETERMINISTIC = " does not have a deterministic implementation"
"""What torch says after the name of an operation that --deterministic forbids."""


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
        code, message = StateError.exit_code, what_the_machine_lacks(error)
        if not message:
            raise
    else:
        return
    if debug:
        traceback.print_exc()
    if _launch().local_rank == 0:  # an error is said once on every machine
        say_aloud(f"ssl: {message}")
    sys.exit(code)


def what_the_machine_lacks(error: Exception) -> str:
    """An error of torch's or Python's in words, where the machine cannot do what was asked; "" for a bug."""
    said = str(error)
    if type(error).__name__ in NO_MEMORY or any(words in said for words in NO_MEMORY_SAID):
        return "out of memory: try a smaller --batch-size"
    if NOT_DETERMINISTIC in said:
        operation = said.partition(NOT_DETERMINISTIC)[0]
        return f"--deterministic: torch has no deterministic {operation}; leave it out, or try another --backbone"
    return ""
