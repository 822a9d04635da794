"""Messages to the user, separate from the results, and text wrapped to lines that fit."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDEST = 100  # characters of a line of text, also in a pipe and in a wider terminal
COMMAND = "type: "
"""Comes before a command to type. The command stays on one line, so that it can be copied."""


DRAWN: list[Callable[[], None]] = []
"""What ends each bar that is drawn now."""


@contextmanager
def bars_ended() -> Iterator[None]:
    """At the end, also after an error, end the bars that are still drawn: they hide the cursor."""
    try:
        yield
    finally:
        while DRAWN:
            DRAWN.pop()()


def say(text: str) -> None:
    """Print a message to stderr, separate from the results."""
    print(text, file=sys.stderr, flush=True)


def room_across() -> int:
    """The width of the terminal in characters, or COLUMNS; in a pipe without COLUMNS, WIDEST."""
    return shutil.get_terminal_size((WIDEST, 24)).columns


def wrapped(text: str, room: int) -> list[str]:
    """Text wrapped to lines of at most `room` characters. Only a longer word or a command to type exceeds that."""
    before, found, command = text.partition(COMMAND)
    kept = before + found + command.replace(" ", "\0")
    lines = textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
