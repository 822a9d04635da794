"""The pictures below a folder, and what is skipped: for data sets and for own pictures. Imports no torch."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sslcli.data.folder.pictures import SUFFIXES, counted
from sslcli.data.folder.walk import PASSED_OVER, Found, Kind, walk
from sslcli.errors import StateError

Reasons = list[tuple[str, str]]
"""Paths below a folder, and the reason why each is not read."""


@dataclass(frozen=True)
class Contents:
    """The content of a folder: the sorted paths of the pictures, and everything else."""

    root: Path
    pictures: list[str]
    others: list[Found]

    def of(self, *kinds: Kind) -> list[Found]:
        """The entries of these kinds."""
        return [found for found in self.others if found.kind in kinds]

    @property
    def passed_over(self) -> Reasons:
        """Hidden and system files and folders."""
        return [(found.path, found.reason) for found in self.of(*PASSED_OVER)]

    @property
    def lost(self) -> list[Found]:
        """Entries that are or hold pictures by name, but cannot be opened."""
        return [found for found in self.others if found.pictures]

    def skipped(self, broken: int, *, tried: int, others: int) -> str:
        """What is skipped, in words: `broken` ones of the `tried` pictures, lost ones, and other files."""
        lost, links = (sum(found.pictures for found in some) for some in (self.lost, self.of(Kind.LEAVES)))
        behind = f" ({links:,} of them behind links out of the folder)" if links else ""
        words = [
            f"{broken + lost:,} of {tried + lost:,} pictures cannot be read{behind}" if broken + lost else "",
            f"{others:,} other files are not pictures" if others else "",
            self._passed_over_in_words(),
        ]
        return ", ".join(filter(None, words))

    def advice(self) -> str:
        """How to get pictures behind links that leave the folder into it; "" if there are none."""
        leaving = [found for found in self.of(Kind.LEAVES) if found.pictures]
        if not leaving:
            return ""
        common = os.path.commonpath([found.detail for found in leaving])
        named = f", or name the folder that they lead to: {shlex.quote(common)}" if common != os.sep else ""
        copy = shlex.join(["cp", "-rL", str(self.root), f"{os.path.basename(os.path.abspath(self.root))}-copy"])
        return f"links out of the folder are not followed: copy what they lead to ({copy}){named}"

    def instead_of_pictures(self) -> str:
        """What a folder without readable pictures contains, and how to get pictures."""
        dangling, closed = self.of(Kind.DANGLES), self.of(Kind.CLOSED)
        kinds = Counter(os.path.splitext(other.path)[1].lower() or "no suffix" for other in self.of(Kind.OTHER))
        common = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
        words = [
            self._leaving_in_words(),
            f"{_number(len(dangling), 'link')} to nothing that can be read (is it still to be fetched?)" if dangling else "",
            f"{_number(len(closed), 'folder')} that cannot be read ({closed[0].path!r}: {closed[0].detail})" if closed else "",
            f"{_number(kinds.total(), 'file')} of other kinds ({common})" if kinds else "",
            *counted(other.reason for other in self.of(Kind.OTHER)),
            self._passed_over_in_words(),
        ]
        return "; ".join(filter(None, words)) or "nothing"

    def _leaving_in_words(self) -> str:
        leaving = self.of(Kind.LEAVES)
        links = f"{_number(len(leaving), 'link')} out of the folder" if leaving else ""
        pictures = sum(found.pictures for found in leaving)
        return f"{_number(pictures, 'picture')} behind {links}" if pictures else links

    def _passed_over_in_words(self) -> str:
        count = len(self.passed_over)
        return f"{_number(count, 'hidden or system file')} or folder{'s' * (count != 1)} skipped" if count else ""


def contents(root: Path, *, called: str) -> Contents:
    """The content of `root`; messages call it `called`. A StateError if it is not a folder or has no readable picture."""
    if not os.path.isdir(root):
        what = "this is a file; accepted is a folder" if os.path.isfile(root) else "there is no such folder"
        raise StateError(f"{called}: {what}")
    everything = sorted(walk(root))
    pictures = [found.path for found in everything if found.kind is Kind.PICTURE]
    made = Contents(root, pictures, [found for found in everything if found.kind is not Kind.PICTURE])
    if not pictures:
        advice = "".join(f"; {words}" for words in (made.advice(),) if words)
        raise StateError(
            f"{called}: no picture in this folder; there is: {made.instead_of_pictures()}{advice}. "
            f"Accepted are files that end in {', '.join(SUFFIXES)}"
        )
    return made


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
