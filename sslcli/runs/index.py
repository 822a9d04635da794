"""registry.yaml, the index of a project's runs: YAML in which every line is also JSON.

To write a whole index for each change costs more with each run. So the changes of a large one are added to a second file of
such lines, which a comment in the index names; the newest line of a run counts. When that file has grown to a part of the
index, both become one again: so the cost of a change does not depend on the number of runs.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from sslcli.errors import StateError, UsageError
from sslcli.files import load_yaml, remove_unfinished, write_text
from sslcli.runs.run import Run, parse_run

HEADER = "# The runs of this project, one a line. Whole records: runs/<experiment>/<id>/run.yaml\n"
NEWER = "# Newer lines, which come here later: "
NAMED = re.compile(rf"{NEWER}(runs/\.newer-[0-9a-f]+)\n")
FIRST_LINES = len(HEADER + NEWER) + 100  # characters in which the comments are
LARGE = 50_000  # bytes of an index, about a hundred runs, from which on changes are added to a second file
PART = 0.5  # of the size of an index: when the second file has it, both become one


class Index:
    """The index at `path`. Reading needs no lock; who writes has locked all other writers out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Run] = {}
        self._read: tuple[tuple[int, ...], str] = (), ""

    def runs(self) -> list[Run]:
        """All runs, oldest first. A UsageError if the index is damaged."""
        whole, newer = self.texts()
        known, self._known = self._known, {}  # lines are parsed once
        try:  # this program writes JSON lines, which parse a hundred times faster than YAML
            runs = self._parsed(_lines(whole), known)
        except (ValueError, RecursionError):
            runs = _of_yaml(self.path)
        if len(found := {run.id: run for run in runs}) < len(runs):
            raise UsageError(f"{self.path} names a run twice")
        try:
            found |= {run.id: run for run in self._parsed(newer.splitlines(), known)}
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{self.path}: its newer lines are damaged: {error}") from error
        return [run.copied() for run in found.values()]

    def _parsed(self, lines: Sequence[str], known: dict[str, Run]) -> list[Run]:
        runs = []
        for number, line in enumerate(lines, 1):
            if (run := known.get(line)) is None:
                run = parse_run(json.loads(line.removeprefix("- ")), f"{self.path}, run {number}")
            self._known[line] = run
            runs.append(run)
        return runs

    def texts(self) -> tuple[str, str]:
        """The text of the index, and the newer lines; a last line without its end is still being written, or never was."""
        while True:
            whole = self._whole()
            if (file := self._newer_of(whole)) is None:
                return whole, ""
            try:
                newer = file.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError as error:
                if self._whole() != whole:
                    continue  # both became one in between
                raise UsageError(f"{self.path}: the file of its newer lines, {file}, is missing") from error
            return whole, newer[: newer.rfind("\n") + 1]

    def _whole(self) -> str:
        """The text of the index; a large one that nobody has replaced since is not read again."""
        found = self.path.stat()
        state = found.st_ino, found.st_size, found.st_mtime_ns
        if found.st_size < LARGE or state != self._read[0]:
            self._read = state, self.path.read_text(encoding="utf-8", errors="replace")
        return self._read[1]

    def _newer_of(self, whole: str) -> Path | None:
        named = NAMED.search(whole, 0, FIRST_LINES)
        return self.path.parent / named[1] if named else None

    def write(self, runs: Sequence[Run]) -> None:
        """Write an index of these runs, as one file."""
        remove_unfinished(self.path)
        write_text(self.path, index_text(runs))
        self._remove_newer(None)

    def _remove_newer(self, but: Path | None) -> None:
        for left in (self.path.parent / "runs").glob(".newer-*"):
            if left != but:
                left.unlink(missing_ok=True)

    def check(self) -> None:
        """A UsageError if a small index is damaged; a large one is not parsed for each new run."""
        if self.path.exists() and self.path.stat().st_size < LARGE:
            self.runs()

    def names(self, run: str) -> bool:
        """Whether the index has a run of this id, or may have."""
        return self.path.exists() and any(f'"{run}"' in text for text in self.texts())

    def put(self, run: Run) -> None:
        """Add a run, or change its entry. A UsageError if a small index is damaged, which is then left as it is."""
        if not self.path.exists() or self.path.stat().st_size < LARGE:
            self._put_in_whole(run)
            return
        whole, newer = self.texts()
        ours = whole.startswith(HEADER) and whole.count('\n- {"id": ') == whole.count("\n- ")  # not another program's YAML
        if not ours or len(newer) > PART * len(whole):
            self._put_in_whole(run)
        elif (_newest(newer, run.id) or _newest(whole, run.id)) != (line := _line(run)):
            self._append(whole, newer, line)

    def _put_in_whole(self, run: Run) -> None:
        known = {other.id: other for other in (self.runs() if self.path.exists() else [])}
        if run.id not in known or known[run.id].index_entry() != run.index_entry():
            self.write([*(known | {run.id: run}).values()])

    def _append(self, whole: str, newer: str, line: str) -> None:
        """Add a line to the second file, after its last whole one. A new file counts once the index names it."""
        if (file := self._newer_of(whole)) is not None:
            _write_at(file, len(newer.encode()), line)
            return
        file = self.path.parent / "runs" / f".newer-{secrets.token_hex(8)}"
        _write_at(file, 0, line)
        remove_unfinished(self.path)
        write_text(self.path, whole.replace(HEADER, f"{HEADER}{NEWER}runs/{file.name}\n", 1))
        self._remove_newer(file)


def _write_at(file: Path, place: int, line: str) -> None:
    """Write a line at a place of a file, and cut off what an unfinished writer left behind it. A StateError if it cannot be."""
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as handle:
            handle.truncate(place)
            handle.seek(place)
            handle.write(line.encode())
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror or error}") from error


def _lines(whole: str) -> list[str]:
    """The lines of the runs in an index that this program wrote; a ValueError for other YAML."""
    lines = [line for line in whole.splitlines() if line and not line.startswith("#")]
    if lines in ([], ["runs: []"]):
        return []
    if lines[0] != "runs:" or not all(line.startswith("- {") for line in lines[1:]):
        raise ValueError
    return lines[1:]


def _of_yaml(path: Path) -> list[Run]:
    """The runs of an index that somebody wrote as other YAML."""
    whole = load_yaml(path)
    content = whole.get("runs") if isinstance(whole, dict) else None
    if not isinstance(content, list):
        raise UsageError(f"{path} is no run registry: it must be a mapping with a list 'runs'")
    return [parse_run(entry, f"{path}, run {number}") for number, entry in enumerate(content, 1)]


def _newest(text: str, run: str) -> str | None:
    """The newest line of a run in a text; None if there is none."""
    begin = text.rfind(f'- {{"id": {json.dumps(run)}')
    return None if begin < 0 else text[begin : text.find("\n", begin) + 1]


def _line(run: Run) -> str:
    return f"- {json.dumps(run.index_entry(), ensure_ascii=True)}\n"


def index_text(runs: Sequence[Run]) -> str:
    """The text of an index of these runs."""
    return HEADER + ("runs:\n" + "".join(map(_line, runs)) if runs else "runs: []\n")


def whole_lines(path: Path) -> Iterator[Run]:
    """The runs of a damaged index whose lines are whole."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield parse_run(json.loads(line.removeprefix("- ")), line[:40])
        except (ValueError, RecursionError, UsageError):
            continue
