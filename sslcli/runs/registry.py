"""The run registry: `registry.yaml` is the index, `runs/<experiment>/<id>/run.yaml` the whole record of a run.

Both are plain YAML, replaced atomically, written under one lock. All paths are relative to the project, the folder of
`registry.yaml`, so a project can be moved or committed. This module imports no torch.
"""

from __future__ import annotations

import os
import platform
import secrets
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import yaml

from sslcli.errors import StateError, UsageError
from sslcli.files import Dumper, load_yaml, now, remove_unfinished, write_text
from sslcli.locks import SOMEBODY, HeldError, is_held, locked
from sslcli.paths import relative
from sslcli.runs.heartbeat import Heartbeat, has_begun, read_heartbeat, write_heartbeat
from sslcli.runs.index import Index, whole_lines
from sslcli.runs.option_versions import FIELD, current
from sslcli.runs.run import WAITING, Run, called, parse_run

LONGEST_STEM = 95  # characters of an id before its four random ones
LOCK_TIMEOUT = 60  # seconds


def find_project(start: Path) -> Path:
    """The nearest folder with a registry.yaml, from `start` upwards; `start` itself if there is none."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "registry.yaml").is_file()), start)


class Registry:
    """The runs of the project in folder `root`. `told` is what the command that opened it has said already."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "registry.yaml"
        self.told: set[str] = set()
        self._index = Index(self.index)

    def command(self, line: str) -> str:
        """A command line to type in the current folder: with --project if that is outside the project."""
        here = Path(os.environ.get("SSL_PROJECT") or find_project(Path.cwd())).resolve()
        return line if here == self.root.resolve() else f"{line} --project {shlex.quote(relative(self.root))}"

    @cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)

    def path(self, relative: str) -> Path:
        """The absolute form of a path in the project; a UsageError if it, or a link in it, leaves the project."""
        path = os.path.realpath(os.path.join(self._real_root, relative))
        if path != self._real_root and not path.startswith(os.path.join(self._real_root, "")):
            raise UsageError(
                f"{relative!r} in the registry is outside the project {self.root}; accepted are relative paths inside it"
            )
        return Path(path)

    def runs(self) -> list[Run]:
        """All runs, oldest first, from the index. Empty without an index; a UsageError if the index is damaged."""
        if not self.index.exists():
            return []
        with self._with_remedy():
            return self._index.runs()

    @contextmanager
    def _with_remedy(self) -> Iterator[None]:
        """An error of a damaged index says how to rebuild it."""
        try:
            yield
        except UsageError as error:
            remedy = self.command("ssl runs rebuild")
            raise UsageError(f"{error}. To rebuild it from the folders under runs/, type: {remedy}") from error

    def find(self, selector: str, *, experiment: str | None = None, status: str | None = None) -> Run:
        """The run with this id, name, or unique prefix of either, or "latest"; else the run whose id ends with the selector."""
        from sslcli.runs.finding import none_here, none_so_called, several  # commands that list runs start faster without it

        runs = [r for r in self.runs() if experiment in (None, r.experiment) and status in (None, r.status)]
        if not runs:
            raise StateError(none_here(self, experiment, status))
        if not selector:
            raise UsageError("the name of the run is empty; accepted are an id, a name, a unique prefix of either, and latest")
        if selector == "latest":
            return runs[-1]
        begun = [r for r in runs if r.id.startswith(selector) or (r.name or "").startswith(selector)]
        found = called(runs, selector)[-1:] or begun or [r for r in runs if r.id.endswith(f"-{selector}")]
        if len(found) == 1:
            return found[0]
        raise StateError(several(found, selector) if found else none_so_called(self, runs, selector, experiment, status))

    def load(self, run: Run) -> Run:
        """The whole record of a run, from its run.yaml. A published run has none: then the entry of the index."""
        path = self.path(f"{run.folder}/run.yaml")
        if path.exists():
            return parse_run(load_yaml(path), str(path))
        if run.status != "published":
            remedy = self.command("ssl runs rebuild")
            raise StateError(f"run {run.id}: {path} is missing; to take missing runs out of the index, type: {remedy}")
        return run

    def create(self, stem: str, **known: object) -> Run:
        """Add a run to the index and make its folder. Its id is `stem`, shortened if need be, and four random characters."""
        stem = stem[:LONGEST_STEM].rstrip("-._")
        with self._locked():
            with self._with_remedy():
                self._index.check()
            begun: Callable[..., Run] = Run
            run = begun(id=stem, created=now(), **known)
            while run.id == stem or self.path(run.folder).exists() or self._index.names(run.id):
                run.id = f"{stem}-{''.join(secrets.choice('abcdefghjkmnpqrstuvwxyz23456789') for _ in range(4))}"
            self._write_record(run)
            self._index.put(run)
        return run

    def save(self, run: Run) -> None:
        """Write the record of a run, then the index if its entry changes.

        A damaged index is left as it is: it can be rebuilt, but a training cannot.
        """
        with self._locked():
            self._write_record(run)
            with suppress(UsageError):
                self._index.put(run)

    def remove(self, ids: set[str]) -> None:
        """Take runs out of the index; the caller deletes their folders."""
        with self._locked():
            self._index.write([run for run in self.runs() if run.id not in ids])

    def settle(self) -> None:
        """Make the index one file again, if its newer lines are in a second one."""
        with self._locked():
            if self.index.exists() and self._index.texts()[1]:
                self._index.write(self.runs())

    def rebuild(self) -> tuple[list[Run], list[str]]:
        """Rebuild the index from the records under runs/; published runs stay. Returns the runs, and what was wrong."""
        with self._locked():
            found, problems = [], []
            for path in sorted(self.root.glob("runs/*/*/run.yaml")):
                try:
                    run = parse_run(load_yaml(path), str(path))
                    if self.path(run.folder) != path.parent.resolve():
                        raise UsageError(f"{path}: the record names another folder, {run.folder}; skipped")
                    found.append(run)
                except (UsageError, OSError) as error:
                    problems.append(str(error))
            noted = {run.id for run in found}  # a published run with a note has a record, too
            published = [run for run in self._published(problems) if run.id not in noted]
            self._index.write(published + sorted(found, key=lambda run: (run.created or "", run.id)))
        return published + found, problems

    def _published(self, problems: list[str]) -> list[Run]:
        """The published runs, which only the index holds; from a damaged index, those whose lines are whole."""
        try:
            return [run for run in self.runs() if run.status == "published"]
        except UsageError as error:
            damaged = self.index.with_name("registry.yaml.damaged")
            damaged.write_bytes(self.index.read_bytes())
            problems.append(f"{error}; the old index is kept as {damaged}")
        return [run for run in {run.id: run for run in whole_lines(damaged)}.values() if run.status == "published"]

    def _write_record(self, run: Run) -> None:
        content = {name: value for name, value in vars(run).items() if value not in (None, {}, [])}
        content |= {FIELD: current()} if run.options else {}
        text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
        path = self.path(f"{run.folder}/run.yaml")
        remove_unfinished(path)
        write_text(path, text)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock for writing the index and all records."""
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.root / "runs" / ".lock", timeout=LOCK_TIMEOUT))
            except HeldError as error:
                raise StateError(f"{self.index} has been locked for {LOCK_TIMEOUT} s by {error}; try again") from None
            yield

    @contextmanager
    def claim(self, run: Run, *, patience: float = 0) -> Iterator[None]:
        """Hold a run during the work on it. The death of the process releases it; a second claim is a StateError.

        `patience` is in seconds: a process that asks for the run's status holds it for a moment.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._lock_of(run), timeout=patience))
            except HeldError as error:
                beat = self.heartbeat(run)
                who = f"process {beat.process} on {beat.host}" if beat and str(error) == SOMEBODY else str(error)
                raise StateError(f"run {run.id} is in use by {who}; wait for it, or stop it") from None
            yield

    def is_claimed(self, run: Run) -> bool:
        """Whether a process holds a run, as far as locks reach: on this machine, and on those that share them."""
        return is_held(self._lock_of(run))

    def _lock_of(self, run: Run) -> Path:
        return self.path(f"{run.folder}/.lock")

    def beat(self, run: Run, *, done: float | None = None, left: float | None = None) -> None:
        """Record that this process works on a run, and when; `done` is a fraction, `left` seconds (None: as said before)."""
        path = self.path(f"{run.folder}/.heartbeat")
        if path.parent.is_dir():  # it has not been deleted since
            with suppress(StateError):  # a full disk does not stop the training here, but at its next checkpoint
                write_heartbeat(path, done=done, left=left)

    def give_up(self, run: Run) -> Run:
        """The record of a run whose process is dead: interrupted. One that has finished, or that a process holds, stays."""
        with suppress(HeldError), locked(self._lock_of(run), timeout=0):
            record = self.load(run)
            if record.status == "running":
                record.status = "interrupted"
                self.save(record)
        return self.load(run)

    def heartbeat(self, run: Run) -> Heartbeat | None:
        """The last heartbeat of a run's process; None if it is missing or cannot be read."""
        with suppress(UsageError):
            return read_heartbeat(self.path(f"{run.folder}/.heartbeat"))
        return None

    def elsewhere(self, run: Run) -> str | None:
        """Where another machine runs a run, and when it was last seen there. Its lock says nothing on this machine."""
        beat = self.heartbeat(run) if run.status == "running" else None
        if beat is None or beat.host == platform.node():
            return None
        return f"on {beat.host}, last seen {max(0, (datetime.now(UTC) - beat.at).total_seconds()):.0f} s ago"

    def status(self, run: Run) -> str:
        """The state of a run, in the one word that every command says: its status, but for two cases.

        A running run whose process on this machine is dead is interrupted. One that was entered and never begun is waiting.
        """
        if run.status == "running" and not self.elsewhere(run):
            return "running" if self.is_claimed(run) else "interrupted"
        waiting = run.status == "interrupted" and not has_begun(self.root / run.folder)
        return WAITING if waiting else run.status
