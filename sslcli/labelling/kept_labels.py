"""The labels that a person has: no file with them is written over."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sslcli.data.folder.label_file import read_labels
from sslcli.errors import StateError, UserError


def hold_to_labels(file: Path, *, written_by: str, advice: str, but: Collection[str] = ()) -> None:
    """A StateError if writing the file would lose labels, but for those whose column `by` has one of these words."""
    if not file.exists():
        return
    try:
        entries = read_labels(file).values()
    except UserError:
        raise StateError(f"{file} exists, and {written_by} did not write it; accepted is another --out") from None
    if labelled := sum(entry.label is not None and entry.by not in but for entry in entries):
        raise StateError(f"{file} has {labelled:,} label{'s' * (labelled > 1)}, which would be lost; {advice}")
