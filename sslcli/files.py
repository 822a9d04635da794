"""Read plain YAML, and replace files atomically, for every part of the program."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import yaml
from yaml.resolver import Resolver

from sslcli.errors import StateError, UsageError
from sslcli.file_kinds import marked_kind


@lru_cache(maxsize=4096)
def _tag_of(value: str, implicit: tuple[bool, bool]) -> str:
    """The tag that YAML gives to a plain scalar. Records repeat the same names and values, and its patterns are slow."""
    return str(_resolver.resolve(yaml.ScalarNode, value, implicit))


def _resolve(_: object, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
    return _tag_of(value, implicit) if kind is yaml.ScalarNode else _resolver.resolve(kind, value, implicit)


_resolver: Any = Resolver()
Loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"resolve": _resolve})
"""Reads plain data alone."""
Dumper: Any = type(
    "Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {"resolve": _resolve, "ignore_aliases": lambda *_: True}
)
"""Writes plain data. A list that occurs twice is written twice."""
UNFINISHED = ".unfinished"
"""The suffix of a file that is being written; editors use other suffixes for their files."""


def load_yaml(path: Path) -> Any:
    """Read plain data from a YAML file. Anything else, such as tags that would run code, is a UsageError with its line."""
    content = path.read_bytes()
    if kind := marked_kind(content):
        raise UsageError(f"{path}: this is not YAML: it is {kind}")
    try:
        return yaml.load(content.decode("utf-8"), Loader)  # noqa: S506  (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(f"{path}{place}: this is not plain YAML: {reason}") from error


def atomic_write(path: Path, write: Callable[[IO[bytes]], object], *, before_rename: Callable[[], None] = lambda: None) -> None:
    """Write a file so that a reader always sees the whole old or the whole new file.

    `write` gets an open temporary file beside `path`; `before_rename` runs when all of it is on the disk. A new file has the
    mode that the umask allows; a replaced file keeps its mode. A link stays, and the file behind it is replaced. A full disk or
    a read-only folder is a StateError; the old file stays.
    """
    temporary, path = None, Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as handle:  # the system subtracts the umask
            temporary = name
            if path.exists():
                with suppress(PermissionError):  # not every network share has modes
                    os.chmod(name, path.stat().st_mode & 0o777)
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        before_rename()
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        hint = "; free some space (then continue a training with ssl resume)" if error.errno == errno.ENOSPC else ""
        raise StateError(f"{path} cannot be written: {error.strerror or error}{hint}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as `atomic_write` does."""
    atomic_write(path, lambda handle: handle.write(text.encode()))


def remove_unfinished(path: Path) -> None:
    """Delete the unfinished files that dead processes left beside a file; its writers must be locked out."""
    path = Path(os.path.realpath(path))  # as in atomic_write
    for left in path.parent.glob(f".{path.name}.*{UNFINISHED}"):  # the name may be a glob pattern
        left.unlink(missing_ok=True)


def now() -> str:
    """The time in UTC, to the microsecond, as ISO 8601, so that runs sort by it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
