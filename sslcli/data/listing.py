"""Which pictures a folder holds, and what its sub-folders or a CSV file say of their classes and parts. Imports no torch."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sslcli.data.pictures import SUFFIXES
from sslcli.errors import StateError, UsageError

PARTS = ("train", "val", "test")
PARTS_TOO = {"valid": "val", "validation": "val", "training": "train", "testing": "test"}
UNLABELLED = ("unlabelled", "unlabeled")
"""Folders beside train and test whose pictures have no class."""


@dataclass(frozen=True)
class Entry:
    """A picture: its path below the folder, with /, its class (None: unknown), and its part (None: to be drawn)."""

    path: str
    label: str | None = None
    part: str | None = None


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder in the order of their paths, and what else lies there: path and why it is no picture."""

    entries: list[Entry]
    others: list[tuple[str, str]] = field(default_factory=list)

    def named(self, labels: Path) -> Listing:
        """The same pictures with the classes, and parts if it has some, of a CSV file; what it leaves out has no class."""
        found = read_labels(labels)
        known = {entry.path for entry in self.entries} | {path for path, _ in self.others}
        unknown = [path for path in found if path not in known]
        if unknown:
            raise UsageError(
                f"--labels {labels}: {len(unknown)} of its {len(found)} paths are not in the folder, the first is "
                f"{unknown[0]!r}; accepted are paths below the folder, like {next(iter(known), 'cats/1.jpg')!r}"
            )
        named = [found.get(entry.path, Entry(entry.path)) for entry in self.entries]
        parts = [entry.part or old.part for entry, old in zip(named, self.entries, strict=True)]
        return replace(self, entries=[replace(entry, part=part) for entry, part in zip(named, parts, strict=True)])


def list_pictures(root: Path) -> Listing:
    """Everything below a folder: files with a picture's suffix, with class and part by their folders.

    Folders train, val and test at the top are the parts, and the folders in them the classes; without them the folders at the
    top are the classes, if they are several. Hidden files are passed over; links that leave the folder, and second ways to a
    folder, are not followed. A StateError for a folder that is not there or holds no picture.
    """
    if not root.is_dir():
        raise StateError(f"--dataset folder:{root}: there is no such folder")
    pictures: list[str] = []
    others: list[tuple[str, str]] = []
    for path, problem in _walk(root):
        if problem is None and path.lower().endswith(SUFFIXES):
            pictures.append(path)
        else:
            others.append((path, problem or "not a picture by its name"))
    if not pictures:
        raise StateError(f"--dataset folder:{root}: no picture in this folder; looked for: {', '.join(SUFFIXES)}")
    entries, beside = _by_folders(sorted(pictures))
    return Listing(entries, sorted([*others, *beside]))


def _walk(root: Path) -> Iterator[tuple[str, str | None]]:
    """Every visible file below `root` by its path from there, and why it is not to be opened (None: nothing against it)."""
    home = os.path.realpath(root)
    seen, waiting = {home}, [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(root / above) as found:
            entries = sorted(found, key=lambda entry: (entry.is_symlink(), entry.name))  # the folder itself before links to it
        for entry in entries:
            path = f"{above}/{entry.name}" if above else entry.name
            real = os.path.realpath(entry.path)
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not (real + os.sep).startswith(home.rstrip(os.sep) + os.sep):
                yield path, "a link that leaves the folder"
            elif entry.is_dir() and real not in seen:
                seen.add(real)
                waiting.append(path)
            elif entry.is_file():
                yield path, None
            elif not entry.is_dir():
                yield path, "no file that can be read"


def _by_folders(paths: list[str]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The pictures with class and part, and those that lie beside the parts, in none of them."""
    split = [path.split("/") for path in paths]
    tops = {parts[0].lower() for parts in split if len(parts) > 1}
    parted = bool(tops & {"train", "training"} and tops & {"test", "testing", "val", "valid", "validation"})
    entries, beside = [], []
    for path, parts in zip(paths, split, strict=True):
        top = parts[0].lower()
        if not parted:
            entries.append(Entry(path, _word(parts[0]) if len(parts) > 1 else None))
        elif len(parts) > 1 and top in UNLABELLED:
            entries.append(Entry(path, None, "train"))
        elif len(parts) > 1 and PARTS_TOO.get(top, top) in PARTS:
            entries.append(Entry(path, _word(parts[1]) if len(parts) > 2 else None, PARTS_TOO.get(top, top)))
        else:
            beside.append((path, "beside the folders train and test, in no part"))
    classes = {entry.label for entry in entries} - {None}
    return entries if len(classes) > 1 else [replace(entry, label=None) for entry in entries], beside


def _word(name: str) -> str:
    """A folder's name as a class: what is no text in it is escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_labels(file: Path) -> dict[str, Entry]:
    """A CSV file with a head of path,label or path,label,split as entries by path.

    A UsageError says what is wrong, and in which line.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = list(csv.reader(lines, strict=True))
    except FileNotFoundError:
        raise StateError(f"--labels {file}: there is no such file") from None
    except (OSError, csv.Error) as error:
        raise UsageError(f"--labels {file} is no CSV file that can be read: {error}") from error
    head = [name.strip().lower() for name in rows[0]] if rows else []
    if head not in (["path", "label"], ["path", "label", "split"]):
        raise UsageError(f"--labels {file}: its first line is {','.join(head)!r}; accepted is path,label or path,label,split")
    found: dict[str, Entry] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        path, label, part = (*row, "")[:3] if len(row) == len(head) else ("", "", "")
        path = os.path.normpath(path).replace(os.sep, "/") if path else ""
        part = PARTS_TOO.get(part.strip().lower(), part.strip().lower())
        problem = (
            f"{len(row)} values where the head has {len(head)}" if len(row) != len(head)
            else "no path" if not path else f"{path!r} a second time" if path in found
            else f"split {part!r}; accepted: {', '.join(PARTS)}" if part not in ("", *PARTS) else ""
        )  # fmt: skip
        if problem:
            raise UsageError(f"--labels {file}, line {number}: {problem}")
        found[path] = Entry(path, _word(label.strip()) or None, part or None)
    return found


def draw_parts(entries: Sequence[Entry], digests: Sequence[str], *, test_share: float = 0.2) -> list[Entry]:
    """Entries whose parts are all known. Where none is said to be a test picture, the validation part is the test; without one
    `test_share` of each class is drawn.

    `digests` are the files' sha256, by which it is drawn: copies of a picture go to the test together, whatever their class.
    Pictures without a class train. At least one of a class is tested where it has three or more.
    """
    if not any(entry.part == "test" for entry in entries):
        if any(entry.part == "val" for entry in entries):
            entries = [replace(entry, part="test" if entry.part == "val" else entry.part) for entry in entries]
        else:
            tested = _drawn(entries, digests, test_share)
            entries = [replace(e, part="test" if d in tested else e.part) for e, d in zip(entries, digests, strict=True)]
    return [replace(entry, part=entry.part or "train") for entry in entries]


def _drawn(entries: Sequence[Entry], digests: Sequence[str], share: float) -> set[str]:
    of_class: dict[str, set[str]] = {}
    for entry, digest in zip(entries, digests, strict=True):
        if entry.label is not None and entry.part is None:
            of_class.setdefault(entry.label, set()).add(digest)
    drawn: set[str] = set()
    for found in of_class.values():
        drawn.update(sorted(found)[: max(round(share * len(found)), int(len(found) > 2))])
    return drawn


def classes_of(entries: Sequence[Entry]) -> list[str]:
    """The classes in order of their names; a UsageError for one that is tested and has nothing to learn it from."""
    learned = Counter(entry.label for entry in entries if entry.part != "test" and entry.label is not None)
    for entry in entries:
        if entry.label is not None and entry.label not in learned:
            raise UsageError(f"class {entry.label!r} is in the test part alone: there is no picture to learn it from")
    return sorted(learned)
