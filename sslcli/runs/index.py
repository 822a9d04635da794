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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sslcli.errors import StateError, UsageError
from sslcli.files import load_yaml, remove_unfinished, write_text
from sslcli.runs.run import Run, parse_run

HEADER = "# The runs of this project, one a line. Whole records: runs/<experiment>/<id>/run.yaml\n"
NEWER = "# Newer lines, which come here later: "
NAMED = re.compile(rf"{NEWER}(runs/\.newer-[0-9a-f]+)\n")
BEGIN = '- {"id": "'
"""How a run's line begins."""
FIRST_LINES = len(HEADER + NEWER) + 100  # characters in which the comments are
LARGE = 50_000  # bytes of an index, about a hundred runs, from which on changes are added to a second file
PART = 0.5  # of the size of an index: when the second file has it, both become one


class Index:
    """The index at `path`. Reading needs no lock; who writes has locked all other writers out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Run] = {}
        self._lines: dict[str, str] = {}
        self._read: tuple[tuple[int, ...], str] = (), ""
        self._newer: tuple[Path | None, str] = None, ""
        self._newest: tuple[str, int, dict[str, str] | None] = "", 0, None

    def runs(self) -> list[Run]:
        """All runs, oldest first. A UsageError if the index is damaged."""
        return [run.copied() for run in self._shared_runs().values()]

    def _shared_runs(self) -> dict[str, Run]:
        """All runs by their ids, oldest first; they are parsed once, so they must not be changed."""
        whole, newer = self.texts()
        known, self._known, self._lines = self._known, {}, {}
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
        return found

    def _parsed(self, lines: Sequence[str], known: dict[str, Run]) -> list[Run]:
        runs = []
        for number, line in enumerate(lines, 1):
            if (run := known.get(line)) is None:
                run = parse_run(json.loads(line.removeprefix("- ")), f"{self.path}, run {number}")
            self._known[line], self._lines[run.id] = run, f"{line}\n"
            runs.append(run)
        return runs

    def texts(self) -> tuple[str, str]:
        """The text of the index, and the newer lines; a last line without its end is still being written, or never was."""
        while True:
            whole = self._whole()
            if (file := self._newer_of(whole)) is None:
                return whole, ""
            try:
                return whole, self._newer_lines(file)
            except FileNotFoundError as error:
                if self._whole() != whole:
                    continue  # both became one in between
                raise UsageError(f"{self.path}: the file of its newer lines, {file}, is missing") from error

    def _whole(self) -> str:
        """The text of the index; a large one that nobody has replaced since is not read again."""
        found = self.path.stat()
        state = found.st_ino, found.st_size, found.st_mtime_ns
        if found.st_size < LARGE or state != self._read[0]:
            self._read = state, self.path.read_text(encoding="utf-8", errors="replace")
        return self._read[1]

    def _newer_lines(self, file: Path) -> str:
        """The whole lines of the second file. Writers only add lines, so those that were read before are not read again."""
        read = self._newer[1] if self._newer[0] == file else ""
        with open(file, "rb") as handle:
            if os.fstat(handle.fileno()).st_size < len(read):  # no writer of ours did this
                read = ""
            handle.seek(len(read))
            added = handle.read()
        if not added.isascii():  # every line of ours is
            return _whole_in(file.read_text(encoding="utf-8", errors="replace"))
        self._newer = file, read + _whole_in(added.decode("ascii"))
        return self._newer[1]

    def _newer_of(self, whole: str) -> Path | None:
        named = NAMED.search(whole, 0, FIRST_LINES)
        return self.path.parent / named[1] if named else None

    def write(self, runs: Sequence[Run]) -> None:
        """Write an index of these runs, as one file."""
        self._write(map(_line, runs))

    def _write(self, lines: Iterable[str]) -> None:
        remove_unfinished(self.path)
        write_text(self.path, _text_of(lines))
        self._remove_newer(None)

    def _remove_newer(self, but: Path | None) -> None:
        for left in (self.path.parent / "runs").glob(".newer-*"):
            if left != but:
                left.unlink(missing_ok=True)

    def check(self) -> None:
        """A UsageError if a small index is damaged; a large one is not parsed for each new run."""
        if self.path.exists() and self.path.stat().st_size < LARGE:
            self._shared_runs()

    def names(self, run: str) -> bool:
        """Whether the index has a run of this id, or may have."""
        if not self.path.exists():
            return False
        whole, newer = self.texts()
        lines = self._newest_lines(whole, newer)
        return run in lines if lines is not None else any(f'"{run}"' in text for text in (whole, newer))

    def put(self, run: Run) -> None:
        """Add a run, or change its entry. A UsageError if a small index is damaged, which is then left as it is."""
        if not self.path.exists() or self.path.stat().st_size < LARGE:
            self._put_in_whole(run)
            return
        whole, newer = self.texts()
        lines = self._newest_lines(whole, newer)
        if lines is None or len(newer) > PART * len(whole):
            self._put_in_whole(run)
        elif lines.get(run.id) != (line := _line(run)):
            self._append(whole, newer, line)

    def _newest_lines(self, whole: str, newer: str) -> dict[str, str] | None:
        """The newest line of each run, by its id; None for an index that another program wrote.

        A text that was looked at before is the same object, and only the lines that were added since are looked at.
        """
        known, read, lines = self._newest
        if known is not whole:
            read, lines = 0, _by_id(whole) if whole.startswith(HEADER) else None
        added = _by_id(newer[read:])
        if lines is None or added is None:
            lines = None
        else:
            lines.update(added)
        self._newest = whole, len(newer), lines
        return lines

    def _put_in_whole(self, run: Run) -> None:
        known = self._shared_runs() if self.path.exists() else {}
        if run.id not in known or known[run.id].index_entry() != run.index_entry():
            lines = {name: self._lines.get(name) or _line(other) for name, other in known.items()}
            self._write((lines | {run.id: _line(run)}).values())

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


def _whole_in(text: str) -> str:
    """A text up to the end of its last line; what follows is still being written, or never was."""
    return text[: text.rfind("\n") + 1]


def _by_id(text: str) -> dict[str, str] | None:
    """The last line of each run in a text, by its id; None if a run is not on a line of its own."""
    lines = [line for line in text.splitlines(keepends=True) if line.lstrip().startswith("- ")]
    ours = all(line.startswith(BEGIN) for line in lines)
    return {line[len(BEGIN) : line.find('"', len(BEGIN))]: line for line in lines} if ours else None


def _line(run: Run) -> str:
    return f"- {json.dumps(run.index_entry(), ensure_ascii=True)}\n"


def index_text(runs: Sequence[Run]) -> str:
    """The text of an index of these runs."""
    return _text_of(map(_line, runs))


def _text_of(lines: Iterable[str]) -> str:
    text = "".join(lines)
    return HEADER + (f"runs:\n{text}" if text else "runs: []\n")


def whole_lines(path: Path) -> Iterator[Run]:
    """The runs of a damaged index whose lines are whole."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield parse_run(json.loads(line.removeprefix("- ")), line[:40])
        except (ValueError, RecursionError, UsageError):
            continue
