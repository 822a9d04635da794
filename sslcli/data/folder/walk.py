"""List everything below a folder, and why some of it is not opened. Imports no torch."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from sslcli.data.folder.pictures import NO_PICTURE, SUFFIXES, why_none

SYSTEM = frozenset({
    "@eadir", "@tmp", "@sharebin", "@synoresource", "#recycle", "#snapshot",  # Synology
    "@recycle", "@recently-snapshot", "@transcode",  # QNAP
    "~snapshot", "lost+found",
    "$recycle.bin", "system volume information", "found.000", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
    "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "icon\r",
    "__pycache__", "picasa.ini",
})  # fmt: skip
"""Folders that systems, network drives and programs leave among pictures, in lower case; their other files are hidden."""
PROJECT = "registry.yaml"
RESULTS = ("runs", "results")
PEEK = 10_000  # names to look at, at most, behind a link that leaves the folder


class Kind(StrEnum):
    """The kind of an entry in a folder; its value says why it is not opened."""

    PICTURE = "a picture by its name"
    FOLDER = "a folder"
    LINKED = "a link to a folder of this folder"
    OTHER = NO_PICTURE
    LEAVES = "a link that leaves the folder"
    DANGLES = "a link to nothing that can be read"
    SPECIAL = "no file that can be read"
    CLOSED = "a folder that cannot be read"
    HIDDEN = "hidden"
    SYSTEM = "made by a system or a program"
    RESULT = "results of a project of ssl"


PASSED_OVER = (Kind.HIDDEN, Kind.SYSTEM, Kind.RESULT)


class Found(NamedTuple):
    """An entry below a folder: its path from there, with /; the number of pictures that it represents; the target of a link,
    or why it is closed.
    """

    path: str
    kind: Kind
    pictures: int = 0
    detail: str = ""

    @property
    def reason(self) -> str:
        """Why it is not opened, in words."""
        if self.kind is Kind.OTHER:
            return why_none(self.path)
        return f"{self.kind}: {self.detail}" if self.kind is Kind.CLOSED else str(self.kind)


def walk(root: Path) -> Iterator[Found]:
    """Everything below `root` except folders, unordered. Hidden and system files, and links that leave `root`, are listed, not
    followed. If several ways lead to a folder, the one without a link is taken, else the first by name.
    """
    home = os.path.realpath(root)
    seen, folders, linked = set[str](), [("", home)], list[tuple[str, str]]()
    while folders or linked:
        above, real = folders.pop() if folders else heapq.heappop(linked)
        if real in seen:
            continue
        seen.add(real)
        for found in _in_folder(os.path.join(root, above) if above else os.fspath(root), above, home):
            if found.kind is Kind.FOLDER:
                folders.append((found.path, os.path.join(real, os.path.basename(found.path))))
            elif found.kind is Kind.LINKED:
                heapq.heappush(linked, (found.path, found.detail))
            else:
                yield found


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its name."""
    return name.lower().endswith(SUFFIXES)


def _in_folder(folder: str, above: str, home: str) -> Iterator[Found]:
    """The entries of one folder, whose path below the root is `above`."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        yield Found(above or ".", Kind.CLOSED, detail=error.strerror or str(error))
        return
    project = any(entry.name == PROJECT for entry in entries)
    for entry in entries:
        path = f"{above}/{entry.name}" if above else entry.name
        if (kind := _passed_over(entry.name)) or (project and entry.name in RESULTS and entry.is_dir(follow_symlinks=False)):
            yield Found(path, kind or Kind.RESULT)
        elif entry.is_symlink():
            yield _of_link(path, entry.path, home)
        elif entry.is_dir(follow_symlinks=False):
            yield Found(path, Kind.FOLDER)
        else:
            yield _of_file(path, regular=entry.is_file(follow_symlinks=False))


def _passed_over(name: str) -> Kind | None:
    return Kind.HIDDEN if name.startswith(".") else Kind.SYSTEM if name.lower() in SYSTEM else None


def _of_file(path: str, *, regular: bool) -> Found:
    if not regular:
        return Found(path, Kind.SPECIAL, int(is_picture(path)))
    return Found(path, Kind.PICTURE if is_picture(path) else Kind.OTHER)


def _of_link(path: str, place: str, home: str) -> Found:
    """The kind of a link, by its target: a file or folder below `home`, outside of it, or nothing."""
    target = os.path.realpath(place)
    try:
        mode = os.stat(place).st_mode
    except OSError:  # the target is missing, is the link itself, or may not be read
        return Found(path, Kind.DANGLES, int(is_picture(path)), target)
    folder = stat.S_ISDIR(mode)
    if _is_below(target, home):
        if SYSTEM.intersection(os.path.relpath(target, home).lower().split(os.sep)):
            return Found(path, Kind.SYSTEM)
        return Found(path, Kind.LINKED, detail=target) if folder else _of_file(path, regular=stat.S_ISREG(mode))
    count = _behind(target, home) if folder else int(is_picture(path))
    return Found(path, Kind.LEAVES, count, target if folder else os.path.dirname(target))


def _is_below(path: str, folder: str) -> bool:
    return (path + os.sep).startswith(folder.rstrip(os.sep) + os.sep)


def _behind(folder: str, home: str) -> int:
    """The number of pictures in a folder outside, up to PEEK names; 0 if it contains `home`, since it leads back."""
    if _is_below(home, folder):
        return 0
    count = looked = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _passed_over(name)]
        count += sum(is_picture(name) and not _passed_over(name) for name in files)
        looked += len(folders) + len(files)
        if looked > PEEK:
            break
    return count
