"""A picture of a folder with its class and part, and the spelling of both. Imports no torch."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

PARTS = ("train", "val", "test")
PARTS_TOO = {"valid": "val", "validation": "val", "training": "train", "testing": "test"}


@dataclass(frozen=True)
class Entry:
    """A picture: its path below the folder, with /, its class (None: unknown), and its part (None: to be drawn).

    `by` says where the class comes from, if `ssl predict` wrote it down: "given", or "predicted".
    """

    path: str
    label: str | None = None
    part: str | None = None
    by: str = ""


def class_word(name: str) -> str:
    """A name as a class: in a single Unicode spelling (NFC), with bytes that are not text escaped."""
    return unicodedata.normalize("NFC", as_text(name))


def as_text(name: str) -> str:
    """A file name as text, with bytes that are not UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
