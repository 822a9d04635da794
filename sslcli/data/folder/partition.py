"""Divide the pictures of a folder into training and test, if the folder itself does not. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sslcli.data.folder.entry import Entry

LEFT = 2  # pictures given back to a class that copies would move to the test entirely: one for training, one for validation


def sample_parts(entries: Sequence[Entry], digests: Sequence[str], *, test_share: float = 0.2) -> list[Entry]:
    """The entries with all parts known. If no picture is marked as test, the validation part is the test; without one,
    `test_share` of each class is drawn.

    `digests` are the files' sha256, which decide the draw: copies of a picture go to the test together, whatever their class.
    Pictures without a class are for training. A class with three or more pictures has at least one in the test, and each
    class keeps one for training.
    """
    if not any(entry.part == "test" for entry in entries):
        if any(entry.part == "val" for entry in entries):
            entries = [replace(entry, part="test" if entry.part == "val" else entry.part) for entry in entries]
        else:
            tested = _drawn(entries, digests, test_share)
            entries = [replace(e, part="test" if d in tested else e.part) for e, d in zip(entries, digests, strict=True)]
    return [replace(entry, part=entry.part or "train") for entry in entries]


def _drawn(entries: Sequence[Entry], digests: Sequence[str], share: float) -> set[str]:
    """The test pictures. If all pictures of a class are drawn because they have copies in other classes, it gets the last
    ones back, and the other classes draw their next ones.
    """
    pairs = [(entry, digest) for entry, digest in zip(entries, digests, strict=True) if entry.label is not None]
    all_of = list(_by_class(pairs).values())
    open_of = list(_by_class((entry, digest) for entry, digest in pairs if entry.part is None).values())
    kept: set[str] = set()
    while True:
        drawn = set[str]()
        for found in open_of:
            count = max(round(share * len(found)), int(len(found) > 2))
            drawn.update([digest for digest in found if digest not in kept][:count])
        emptied = [found for found in all_of if drawn.issuperset(found)]
        if not emptied:
            return drawn
        for found in emptied:
            if kept.isdisjoint(found):
                kept.update(found[-LEFT:])


def _by_class(pairs: Iterable[tuple[Entry, str]]) -> dict[str | None, list[str]]:
    """The distinct digests of each class, in order."""
    found: dict[str | None, set[str]] = {}
    for entry, digest in pairs:
        found.setdefault(entry.label, set()).add(digest)
    return {label: sorted(some) for label, some in sorted(found.items(), key=lambda pair: str(pair[0]))}


def classes_of(entries: Sequence[Entry]) -> list[str]:
    """The classes in order of their names, including those that are only in the test."""
    return sorted({entry.label for entry in entries if entry.label is not None})
