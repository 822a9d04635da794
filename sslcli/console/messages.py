"""Messages to the person, apart from the results, and words in lines that fit."""

from __future__ import annotations

import shutil
import sys
import textwrap

WIDEST = 100  # characters of a line of words, also piped and in a wider terminal
COMMAND = "type: "
"""Before a command that a person types: it stays in one line, so that it can be copied."""


def say(text: str) -> None:
    """A message to the person, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def room_across() -> int:
    """The terminal's width in characters, or COLUMNS; piped without it, what a line of words has."""
    return shutil.get_terminal_size((WIDEST, 24)).columns


def wrapped(text: str, room: int) -> list[str]:
    """Words in lines of at most `room` characters, which a longer word or a command to type alone exceeds."""
    before, found, command = text.partition(COMMAND)
    kept = before + found + command.replace(" ", "\0")
    lines = textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
