"""The pictures of a folder, with classes and parts from its sub-folders or a CSV file. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sslcli.data.folder.contents import Contents, Reasons, contents
from sslcli.data.folder.entry import PARTS, PARTS_TOO, Entry, class_word
from sslcli.data.folder.label_file import Places, read_labels
from sslcli.data.folder.walk import PASSED_OVER, Kind
from sslcli.errors import StateError, UsageError

TRAINING = {"train", "training"}
HELD_OUT = {"test", "testing", "val", "valid", "validation"}
UNLABELLED = {"unlabelled", "unlabeled"}
"""Names of folders beside train and test whose pictures have no class."""
NOT_A_NUMBER = ("nan", "<na>")
"""What programs write into a CSV file for a missing value."""


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, ordered by path, and everything else in it.

    `beside` are pictures that are in no part; `notes` are messages about the classes.
    """

    entries: list[Entry]
    found: Contents
    beside: Reasons = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def others(self) -> Reasons:
        """What is not read, except hidden and system files: paths and reasons."""
        found = [(other.path, other.reason) for other in self.found.others if other.kind not in PASSED_OVER]
        return sorted([*found, *self.beside])

    @property
    def places(self) -> Places:
        """Finds what is in the folder by the paths that people write."""
        return Places(self.found.root, [entry.path for entry in self.entries] + [path for path, _ in self.others])

    def named(self, labels: Path) -> Listing:
        """The same pictures with the classes (and parts, if any) of a CSV file; pictures missing there have no class."""
        written = read_labels(labels)
        places = self.places
        rows: dict[str, Entry] = {}
        unknown = []
        for row in written.values():
            path = places.find(row.path)
            if path is None:
                unknown.append(row.path)
            elif path in rows:
                both = f"{rows[path].path!r} and {row.path!r}"
                raise UsageError(f"--labels {labels}: {both} are one file, {path!r}; accepted is one line for each file")
            else:
                rows[path] = row
        if unknown:
            raise UsageError(f"--labels {labels}: {len(unknown)} of its {len(written)} {places.advice(unknown[0])}")
        missing = sum((row.label or "").lower() in NOT_A_NUMBER for row in rows.values())
        note = f"--labels {labels}: {missing:,} pictures have the label {NOT_A_NUMBER[0]!r}, read as none"
        entries = [_renamed(entry, rows.get(entry.path)) for entry in self.entries]
        return replace(self, entries=entries, notes=[note] * bool(missing))


def _renamed(entry: Entry, row: Entry | None) -> Entry:
    """A picture with the class, and the part if there is one, of its line in a CSV file."""
    if row is None:
        return replace(entry, label=None)
    return replace(entry, label=with_class(row).label, part=row.part or entry.part)


def with_class(row: Entry) -> Entry:
    """A line of a CSV file, without a class if another program wrote that it is missing."""
    return replace(row, label=None) if (row.label or "").lower() in NOT_A_NUMBER else row


def list_pictures(root: Path) -> Listing:
    """Everything below a folder: pictures (by suffix), with class and part from their folders.

    Folders train, val and test at the top are the parts, and the folders in them the classes; a folder train alone, or with
    unlabelled beside it, has the test yet to be drawn. Without them the folders at the top are the classes, if there are
    several. `walk` says what is skipped. A StateError for a folder that is missing, has no
    picture, or contains a folder that cannot be read.
    """
    called = f"--dataset folder:{root}"
    found = contents(root, called=called)
    if closed := found.of(Kind.CLOSED):
        raise StateError(f"{called}: {closed[0].path!r} is {closed[0].reason}; allow it (chmod u+rx), or move it elsewhere")
    return _by_folders(found)


def _by_folders(found: Contents) -> Listing:
    """The pictures with class and part, and those beside the parts."""
    split = [path.split("/") for path in found.pictures]
    tops = {parts[0].lower() for parts in split if len(parts) > 1}
    deep = any(len(parts) > 2 and parts[0].lower() in TRAINING for parts in split)
    undrawn = deep and tops <= TRAINING | UNLABELLED
    parted = bool(tops & TRAINING and tops & HELD_OUT) or undrawn
    entries, beside, names = [], [], set()
    for path, parts in zip(found.pictures, split, strict=True):
        top = parts[0].lower()
        name, part = (parts[int(parted)] if len(parts) > 1 + parted else None), None
        if parted and len(parts) > 1 and top in UNLABELLED:
            name, part = None, None if undrawn else "train"
        elif parted:
            part = PARTS_TOO.get(top, top)
            if len(parts) == 1 or part not in PARTS:
                beside.append((path, "beside the folders train and test, in no part"))
                continue
            part = None if undrawn else part
        names.add(name)
        entries.append(Entry(path, None if name is None else class_word(name), part))
    classes = {entry.label for entry in entries} - {None}
    if len(classes) < 2:
        entries = [replace(entry, label=None) for entry in entries]
    return Listing(entries, found, beside, _spelled_twice(names - {None}) + _unknown_parts(tops) * (deep and not parted))


def _unknown_parts(tops: set[str]) -> list[str]:
    """That a folder train with sub-folders is taken as a class, because what lies beside it is no part, in words."""
    beside = ", ".join(sorted(map(ascii, tops - TRAINING - UNLABELLED))[:3])
    return [f"the folder 'train' is taken as a class, beside {beside}; parts are called train, test, val and unlabelled"]


def _spelled_twice(names: Iterable[str | None]) -> list[str]:
    """The folder names that are one class, in words."""
    spellings: dict[str, list[str]] = {}
    for name in sorted(filter(None, names)):
        spellings.setdefault(class_word(name), []).append(ascii(name))
    return [
        f"class {word!r} has several spellings in Unicode, {' and '.join(some)}: their pictures are one class"
        for word, some in spellings.items()
        if len(some) > 1
    ]
