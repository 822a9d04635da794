"""The labels that a person has: no file with them is written over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sslcli.data.folder.entry import Entry
from sslcli.data.folder.label_file import read_labels
from sslcli.errors import StateError, UserError


def hold_to_labels(file: Path, *, written_by: str, advice: str, kept: Callable[[Entry], bool] = lambda _: False) -> None:
    """A StateError if writing the file would lose labels, but for the rows that are `kept` or can be written again."""
    if not file.exists() or not file.stat().st_size:
        return
    try:
        entries = read_labels(file).values()
    except UserError:
        raise StateError(f"{file} exists, and {written_by} did not write it; accepted is another --out") from None
    if labelled := sum(entry.label is not None and not kept(entry) for entry in entries):
        raise StateError(f"{file} has {labelled:,} label{'s' * (labelled > 1)}, which would be lost; {advice}")
