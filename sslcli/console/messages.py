"""Messages to the person, apart from the results."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """A message to the person, apart from the results."""
    print(text, file=sys.stderr, flush=True)
