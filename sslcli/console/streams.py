"""Standard streams that outlive their reader, so that a training continues after a closed terminal or a pipe into head.

Output without a reader is dropped, and the work continues. A full disk is an error for results, not for messages. Characters
that the stream's encoding lacks are escaped.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from sslcli.errors import StateError

GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
"""Errors of writing to a pipe or a connection without a reader. A lost terminal gives EIO."""
FORGIVING = ("replace", "ignore", "backslashreplace", "xmlcharrefreplace", "namereplace")
"""Error handlers for characters that the encoding lacks, which raise nothing."""
PATIENCE = 1.0  # seconds to wait for the reader of a non-blocking stream
_MESSAGES: list[TextIO] = []


class _Lasting(io.RawIOBase):
    """Writes to a file descriptor and leaves it open. Without a reader, everything counts as written."""

    def __init__(self, file: int, *, results: bool) -> None:
        self._file, self._results, self._terminal, self._failed = file, results, os.isatty(file), False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def write(self, data: Any) -> int:
        """Write all of it. A StateError, once, if there is a reader but results cannot be written."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:
                if not select.select([], [self._file], [], PATIENCE)[1]:
                    break
            except OSError as error:
                self._lose(error)
                break
        return size

    def _lose(self, error: OSError) -> None:
        if error.errno in GONE or (error.errno == errno.EIO and self._terminal):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file)  # for output of C libraries, and for child processes
            os.close(nowhere)
        elif self._results and not self._failed:
            self._failed = True
            raise StateError(
                f"the results cannot be written to stdout: {error.strerror}; free some space, or choose another place"
            ) from error


@contextmanager
def lasting() -> Iterator[None]:
    """Keep stdout and stderr usable during the block. Output to a stream that was closed at the start is dropped."""
    before = sys.stdin, sys.stdout, sys.stderr
    _open_what_is_closed()
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  (for the block)
    ours = sys.stdout, sys.stderr = _wrapped(sys.stdout, results=True), _wrapped(sys.stderr, results=False)
    _MESSAGES.append(sys.stderr)
    try:
        yield
    finally:
        _MESSAGES.pop()
        for stream in ours:
            with suppress(StateError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def say_aloud(text: str) -> None:
    """Print a message, even in a process whose stderr was replaced after the block of `lasting` started."""
    print(text, file=_MESSAGES[-1] if _MESSAGES else sys.stderr)


def _open_what_is_closed() -> None:
    """Reserve the file numbers 0 to 2. Otherwise output of C libraries to stderr could end up in a checkpoint."""
    for file in range(3):
        try:
            os.fstat(file)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, file)
            if nowhere != file:
                os.close(nowhere)


def _wrapped(stream: TextIO | None, *, results: bool) -> TextIO:
    """A lasting stream over the same file. A stream without a file of the system, as in tests, is returned as it is."""
    if stream is None:  # it was closed when Python started
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    with suppress(OSError):
        stream.flush()
    raw = _Lasting(stream.fileno(), results=results)
    buffer: Any = io.BufferedWriter(raw) if results and not stream.write_through else raw
    errors = stream.errors if stream.errors in FORGIVING else "backslashreplace"
    return io.TextIOWrapper(
        buffer, encoding=stream.encoding, errors=errors, line_buffering=raw.isatty() or stream.line_buffering,
        write_through=not results or stream.write_through,
    )  # fmt: skip
