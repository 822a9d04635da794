"""The file of a method outside the program: a run keeps a copy, and continues only with the same code."""

from __future__ import annotations

import hashlib
import shlex
from itertools import zip_longest
from pathlib import Path

from sslcli.errors import StateError
from sslcli.files import atomic_write
from sslcli.methods import MethodFile
from sslcli.methods.outside import sha256_of
from sslcli.paths import relative
from sslcli.runs.naming import file_of_method
from sslcli.runs.next_step import recorded_command
from sslcli.runs.paths import located
from sslcli.runs.proofs import CODE
from sslcli.runs.registry import Registry
from sslcli.runs.run import Code, Run


def code_of(file: MethodFile) -> Code:
    """The record of a method's file: the file's name and sha256, and the method's name. {} for a built-in method."""
    if file.source is None:
        return {}
    return {"file": Path(file.source.path).name, "sha256": sha256_of(file.source), "name": file.name}


def keep_code(registry: Registry, run: Run, file: MethodFile) -> None:
    """Write the content of the method's file, as read, into the run's folder."""
    content = file.source.content if file.source else b""
    atomic_write(registry.path(f"{run.folder}/{CODE}"), lambda handle: handle.write(content))


def hold_to_code(registry: Registry, run: Run) -> None:
    """A StateError if the file of a run's method is gone or has changed since the run started. Built-in methods pass."""
    if (named := file_of_method(located(registry, run.options).get("method"))) is None:
        return
    path, known = Path(named[0]), run.data.get("method", {}).get("sha256")
    shown, kept = relative(path), registry.path(f"{run.folder}/{CODE}")
    anew = f"to start a new run instead, type: {recorded_command(registry, run)}"
    back = f"to put it back, type: {shlex.join(['cp', relative(kept), shown])}" if kept.exists() else "put it back"
    if not path.is_file():
        raise StateError(f"run {run.id}: {shown}, the file of its method, is gone; {back}")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != known:
        where = f", first in line {_first_other_line(content, kept.read_bytes())}" if kept.exists() else ""
        raise StateError(
            f"run {run.id}: {shown}, the file of its method, has changed since the run started{where}: its sha256 is "
            f"{found[:12]}…, recorded is {str(known)[:12]}…; {back}; {anew}"
        )


def _first_other_line(content: bytes, kept: bytes) -> int:
    pairs = zip_longest(content.splitlines(), kept.splitlines())
    return next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)
