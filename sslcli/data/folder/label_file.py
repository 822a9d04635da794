"""A CSV file with the classes, and perhaps the parts, of a folder's pictures. Imports no torch."""

from __future__ import annotations

import codecs
import csv
import io
import os
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from sslcli.data.folder.entry import PARTS, PARTS_TOO, Entry, class_word
from sslcli.errors import StateError, UsageError
from sslcli.file_kinds import marked_kind
from sslcli.paths import relative

HEADS = (["path", "label"], ["path", "label", "split"])
PREDICTED = ("confidence", "distance", "unlike", "by")
"""Columns that `ssl predict` writes after those of HEADS. Of these only the last is read."""
GIVEN, BY_CLASSIFIER = "given", "predicted"
"""What the column `by` says: a person gave the label, or a classifier predicted it."""
DELIMITERS = ",;\t"
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""First bytes of files that are not in UTF-8. Longer marks come first, because one of them starts with a shorter one."""
SAVE = "save it as CSV in UTF-8"
Row = tuple[int, list[str]]
"""The last line of a row, from 1, and its cells."""


def read_labels(file: Path) -> dict[str, Entry]:
    """The entries of a CSV file, by path, whose first line is path,label or path,label,split. `Places` then finds the pictures.

    UTF-8, or UTF-16 with its mark; commas, semicolons or tabs. A UsageError says what is wrong, and in which line.
    """
    head, columns, rows = _table(file, _text_of(file))
    width = len(columns)
    found: dict[str, Entry] = {}
    for number, row in rows:
        path, label, part = (*row[: len(head)], "")[:3] if len(row) == width else ("", "", "")
        path = os.path.normpath(path).replace(os.sep, "/") if path.strip() else ""
        part = PARTS_TOO.get(part.strip().lower(), part.strip().lower())
        problem = (
            f"{len(row)} values, but the first line has {width}" if len(row) != width
            else "no path" if not path else f"{path!r} a second time" if path in found
            else f"split {part!r}; accepted: {', '.join(PARTS)}" if part not in ("", *PARTS)
            else f"label {_bytes_of(label)!r} is not in UTF-8: {SAVE}" if not _is_text(label) else ""
        )  # fmt: skip
        if problem:
            raise UsageError(f"--labels {file}, line {number}: {problem}")
        by = row[columns.index(PREDICTED[-1])].strip().lower() if PREDICTED[-1] in columns else ""
        found[path] = Entry(path, class_word(label.strip()) or None, part or None, by)
    return found


def predicted_in(file: Path | None) -> list[str]:
    """The paths in a CSV file, if it is there, whose labels a classifier predicted."""
    if file is None or not file.exists():
        return []
    return [entry.path for entry in read_labels(file).values() if entry.label and entry.by == BY_CLASSIFIER]


class Places:
    """Finds the pictures of a folder, `paths` below `root`, by the paths that people and other programs write."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self._root, self._real = os.path.abspath(root), os.path.realpath(root)
        self._paths = dict.fromkeys(paths)
        self._spelled: dict[str, list[str]] = {}
        for path in self._paths:
            self._spelled.setdefault(_spelling(path), []).append(path)

    def find(self, written: str) -> str | None:
        """The path of a picture; None if there is none, or if several differ only in their Unicode spelling."""
        for path in self._readings(written):
            alike = [path] if path in self._paths else self._spelled.get(_spelling(path), [])
            if len(alike) == 1:
                return alike[0]
        return None

    def advice(self, written: str) -> str:
        """The message for a path that is not found: what is wrong with it, and what is accepted."""
        there = any(os.path.lexists(os.path.join(self._root, path)) for path in self._readings(written))
        why = " (it is there, but hidden, made by a system, or behind a link)" if there else ""
        why = why if _is_text(written) else f" ({_bytes_of(written)!r} is not in UTF-8: {SAVE})"
        example = next(iter(self._paths), "cats/1.jpg")
        return (
            f"paths are not in the folder; the first is {written!r}{why}; accepted are paths below the folder, like {example!r}"
        )

    def _readings(self, written: str) -> Iterator[str]:
        """A path as written; without spaces around it; with / for backslashes; relative to the folder, if it is absolute or
        passes links.
        """
        yield written
        plain = written.strip()
        for way in dict.fromkeys((plain, plain.replace("\\", "/"))):
            whole = os.path.normpath(os.path.join(self._root, way))
            above, name = os.path.split(whole)
            yield from (
                relative(path, start).replace(os.sep, "/")
                for path, start in (
                    (whole, self._root),
                    (os.path.join(os.path.realpath(above), name), self._real),
                    (os.path.realpath(whole), self._real),
                )
            )


def _text_of(file: Path) -> str:
    """The text of a file. Bytes that are not UTF-8 are kept, because file names may contain any bytes."""
    try:
        content = file.read_bytes()
        encoding = next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), "utf-8-sig")
        text = content.decode(encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict")
    except FileNotFoundError:
        raise StateError(f"--labels {file}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--labels {file} cannot be read as CSV: {error}") from error
    if kind := marked_kind(content):
        raise UsageError(f"--labels {file} is not a CSV file: it is {kind}")
    if "\0" in text:
        raise UsageError(
            f"--labels {file} is not plain text: it has NUL bytes (a workbook, or UTF-16 without its mark?): {SAVE}"
        )
    return text


def _table(file: Path, text: str) -> tuple[list[str], list[str], Iterator[Row]]:
    """The header without PREDICTED, the whole header, and the non-empty rows below it.

    The first delimiter is taken that makes the header one of HEADS.
    """
    first = []
    for spaced, delimiter in product((False, True), DELIMITERS):  # spaced: spaces before values in quotes
        _, head = next(_rows(file, text, delimiter=delimiter, skipinitialspace=spaced), (0, [""]))
        head = _up_to([cell.strip().lower() for cell in head], 0)
        first.append(",".join(head))
        known = [name for place, name in enumerate(head) if place < 2 or name not in PREDICTED]
        if known in HEADS and head[: len(known)] == known:
            width, rows = len(head), _rows(file, text, delimiter=delimiter, skipinitialspace=spaced, strict=True)
            next(rows)
            return known, head, ((number, _up_to(row, width)) for number, row in rows)
    raise UsageError(
        f"--labels {file}: its first line is {first[0]!r}; accepted is path,label or path,label,split (semicolons or tabs, too)"
    )


def _rows(file: Path, text: str, *, strict: bool = False, delimiter: str, skipinitialspace: bool) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict, delimiter=delimiter, skipinitialspace=skipinitialspace)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"--labels {file} cannot be read as CSV: {error} in line {reader.line_num}") from error


def _up_to(row: list[str], count: int) -> list[str]:
    """A row without empty cells at its end, but with at least `count` cells."""
    filled = max((place for place, cell in enumerate(row, 1) if cell.strip()), default=0)
    return row[: max(count, filled)]


def _spelling(path: str) -> str:
    return unicodedata.normalize("NFC", path).strip()


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _bytes_of(text: str) -> bytes:
    return text.strip().encode("utf-8", "surrogateescape")
