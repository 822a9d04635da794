"""The list of the pictures that a run saw, with their parts, in the run's folder. Imports no torch."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sslcli.errors import StateError
from sslcli.files import atomic_write

FILE = "images.csv.gz"


class Line(NamedTuple):
    """A picture: sha256 of its file, part (train, val or test), class ("": unknown), path in the folder."""

    sha256: str
    part: str
    label: str
    path: str


def write_manifest(file: Path, lines: Iterable[Line]) -> None:
    """Write a run's pictures, whole or not at all; a StateError if they cannot be written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([Line._fields, *lines])
    packed = gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0)
    atomic_write(file, lambda handle: handle.write(packed))


def read_manifest(file: Path) -> list[Line]:
    """Read the file of `write_manifest`; a StateError if it is damaged."""
    try:
        text = gzip.decompress(file.read_bytes()).decode("utf-8", "surrogateescape")
        head, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(head) != Line._fields:
            raise ValueError(f"its head is {head}")
        return [Line(*row) for row in rows]
    except (OSError, EOFError, ValueError, TypeError, csv.Error) as error:
        raise StateError(f"{file} is damaged: {error}") from error


def tested_but_seen(seen: Iterable[Line], used: Iterable[Line]) -> int:
    """How many test pictures of `used` were training or validation pictures of `seen`, whatever their names."""
    trained = {line.sha256 for line in seen if line.part != "test"}
    return sum(line.part == "test" and line.label != "" and line.sha256 in trained for line in used)
