"""The run registry: `registry.yaml` is the index, `runs/<experiment>/<id>/run.yaml` the whole truth of a run.

Both are plain YAML, replaced atomically, written under one lock. All paths are relative to the project, the folder of
`registry.yaml`, so that a project can be moved or committed. This module imports no torch.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sslcli.errors import StateError, UsageError
from sslcli.files import Dumper, load_yaml, now, remove_unfinished, write_text
from sslcli.locks import SOMEBODY, HeldError, is_held, locked
from sslcli.runs.option_versions import FIELD, FIRST, as_now, current, version_in

EXPERIMENTS = {"pretrain": "pretrain", "linear_eval": "probe", "knn": "probe", "finetune": "finetune"}
"""Experiment to the command that makes its runs."""
STATUSES = ("running", "interrupted", "failed", "finished", "published")
FIRST_METHOD: str = FIRST["pretrain"]["method"]
"""The method that there was before there were others."""
LEGAL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
LONGEST_STEM = 95  # characters of an id before its four random ones
LOCK_TIMEOUT = 60  # seconds
HEADER = "# The runs of this project, one a line. Whole records: runs/<experiment>/<id>/run.yaml\n"


@dataclass(kw_only=True)
class Run:
    """One training. The fields up to `metrics` stand in the index, all of them in run.yaml.

    Accuracies in `metrics` are fractions. `pair` is equal for runs whose resolved options differ in `init` alone, `setup`
    for those that differ in init and seed. `init` is pretrained, scratch, or others' weights by the name and sha256 of their
    file, which are in no pair. `both_right` counts, for other runs of the setup by their ids, the test images
    that both have right: what intervals are made of.
    `method` is the one that trains the encoder, or has trained the one that is evaluated.
    `at_epoch` is the epoch of the parent whose kept checkpoint was evaluated; None is its last.
    `choices` holds what was chosen before the first step, and a resume takes over: "rate", and "tried", each rate's validation
    accuracy; "minutes", for which epochs, views and net were settled. `checkpoints` maps a file's name to the sha256 it may
    have: the newest first, then the one before, since a file and its hash cannot be replaced in one stroke.
    """

    id: str
    experiment: str
    status: str
    name: str | None = None
    study: str | None = None
    parent: str | None = None
    protocol: str | None = None
    method: str | None = None
    init: str | None = None
    dataset: str | None = None
    backbone: str | None = None
    seed: int | None = None
    epochs: float | None = None
    label_fraction: float | None = None
    at_epoch: int | None = None
    pair: str | None = None
    setup: str | None = None
    created: str | None = None
    checkpoint: str | None = None
    sha256: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    both_right: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    command: str | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    device: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: dict[str, list[str]] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    @property
    def encoder_method(self) -> str | None:
        """The method that trains or trained the encoder; None of a random encoder, or of others' weights as they are.

        Runs of versions that had one method do not name it.
        """
        trained = self.experiment == "pretrain" or (self.init or "").startswith("pretrained")
        return self.method or (FIRST_METHOD if trained else None)

    @property
    def folder(self) -> str:
        """The run's folder, relative to the project."""
        return f"runs/{self.experiment}/{self.id}"

    def index_entry(self) -> dict[str, Any]:
        """What the index keeps of this run."""
        return {name: value for name in INDEX_FIELDS if (value := getattr(self, name)) not in (None, {})}


_FIELDS = {f.name: str(f.type) for f in fields(Run)}
INDEX_FIELDS = tuple(_FIELDS)[: tuple(_FIELDS).index("note") + 1]


def _accepts(annotation: str, value: Any) -> bool:
    if value is None:
        return "None" in annotation
    kinds = {"str": str, "int": int, "float": (int, float), "dict": dict, "list": list}
    kind = kinds[re.split(r"[\[ ]", annotation)[0]]
    return isinstance(value, kind) and not isinstance(value, bool)  # type: ignore[arg-type]


def _is_epoch(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in entry.values())
        and entry.get("epoch", 0) > 0 and entry.get("step", 0) > 0
    )  # fmt: skip


def _are_choices(choices: dict[str, Any]) -> bool:
    tried = choices.get("tried", [])
    if not isinstance(tried, list) or not all(isinstance(entry, dict) for entry in tried):
        return False
    numbers = [
        choices.get("rate", 0.0),
        choices.get("minutes", 0.0),
        *(entry.get(name) for entry in tried for name in ("rate", "val_acc")),
    ]
    return all(isinstance(number, float) and number >= 0 for number in numbers)


def parse_run(content: Any, source: str) -> Run:
    """Turn what YAML gave into a Run, or say what is wrong with it in `source`. Its options have their names of today."""
    if not isinstance(content, dict):
        raise UsageError(f"{source}: a run is a mapping, this is {type(content).__name__}: {str(content)[:60]!r}")
    for required in ("id", "experiment", "status"):
        if not isinstance(content.get(required), str):
            raise UsageError(f"{source}: the run lacks its {required!r}, or it is not text")
    version = version_in(content, source)
    if FIELD in content:
        content = {key: value for key, value in content.items() if key != FIELD}
    for key, value in content.items():
        if key not in _FIELDS or not _accepts(_FIELDS[key], value):
            wanted = f"{key!r} takes {_FIELDS[key]}" if key in _FIELDS else f"a run has no field {key!r}"
            raise UsageError(f"{source}: {wanted}, not {str(value)[:60]!r}")
    run = Run(**content)
    for key, value in run.metrics.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            raise UsageError(f"{source}: metric {key!r} is a number, not {str(value)[:60]!r}")
        if key.endswith(("acc", "knn")) and not 0 <= value <= 1:
            raise UsageError(f"{source}: metric {key!r} is a fraction from 0 to 1, not {value!r}")
    images = run.metrics.get("test_images", 10_000)
    if not isinstance(images, int) or images < 1:
        raise UsageError(f"{source}: metric 'test_images' is a whole number from 1, not {images!r}")
    if not all(isinstance(count, int) and 0 <= count <= images for count in run.both_right.values()):
        raise UsageError(f"{source}: both_right maps the ids of other runs to numbers of images, 0 to {images}")
    if not all(_is_epoch(entry) for entry in run.history):
        raise UsageError(f"{source}: the history has an entry for each epoch: epoch, step and measurements, all numbers")
    if not _are_choices(run.choices):
        raise UsageError(
            f"{source}: choices are the rate taken, of each rate that was tried its validation accuracy, and minutes"
        )
    if not all(isinstance(hashes, list) for hashes in run.checkpoints.values()):
        raise UsageError(f"{source}: checkpoints map a file to the list of its hashes")
    if not LEGAL_ID.fullmatch(run.id) or run.experiment not in EXPERIMENTS or run.status not in STATUSES:
        raise UsageError(
            f"{source}: no run can be {run.id!r}, {run.experiment!r}, {run.status!r}: an id is lower-case letters, digits, "
            f"'.', '_' and '-'; an experiment one of {', '.join(EXPERIMENTS)}; a status one of {', '.join(STATUSES)}"
        )
    if run.options:
        run.options = as_now(EXPERIMENTS[run.experiment], run.options, version)
    return run


def called(runs: list[Run], name: str) -> list[Run]:
    """The run with this id; if there is none, the runs with this name, oldest first."""
    return [run for run in runs if run.id == name] or [run for run in runs if run.name == name]


def find_project(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds a registry.yaml; `start` itself where none does."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "registry.yaml").is_file()), start)


@dataclass(frozen=True)
class Heartbeat:
    """When a process on a machine last said that it works on a run."""

    host: str
    process: int
    at: datetime


class Registry:
    """The runs of the project in folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "registry.yaml"

    def command(self, line: str) -> str:
        """A command line that a person can type where they stand: with --project if they are in another one."""
        here = Path(os.environ.get("SSL_PROJECT") or find_project(Path.cwd())).resolve()
        return line if here == self.root.resolve() else f"{line} --project {shlex.quote(os.path.relpath(self.root))}"

    @cached_property
    def _real_root(self) -> Path:
        return self.root.resolve()

    def path(self, relative: str) -> Path:
        """A path of the project as an absolute one; a UsageError if it, or a link in it, leaves the project."""
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self._real_root):
            raise UsageError(f"{relative!r} in the registry leaves the project {self.root}: paths are relative and stay in it")
        return path

    def runs(self) -> list[Run]:
        """All runs, oldest first, as the index has them. Empty without an index; a UsageError if that is damaged."""
        if not self.index.exists():
            return []
        try:
            return self._parse_index()
        except UsageError as error:
            remedy = self.command("ssl runs rebuild")
            raise UsageError(f"{error}. To make it anew from the folders under runs/, type: {remedy}") from error

    def _parse_index(self) -> list[Run]:
        text = self.index.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if lines in ([], ["runs: []"]):
            return []
        try:  # every line that this program writes is JSON, which parses a hundred times faster than YAML
            if lines[0] != "runs:" or not all(line.startswith("- {") for line in lines[1:]):
                raise ValueError
            content: Any = [json.loads(line[2:]) for line in lines[1:]]
        except (ValueError, RecursionError):
            whole = load_yaml(self.index)
            content = whole.get("runs") if isinstance(whole, dict) else None
        if not isinstance(content, list):
            raise UsageError(f"{self.index} is no run registry: it must be a mapping with a list 'runs'")
        runs = [parse_run(entry, f"{self.index}, run {number}") for number, entry in enumerate(content, 1)]
        if len({run.id for run in runs}) < len(runs):
            raise UsageError(f"{self.index} names a run twice")
        return runs

    def find(self, selector: str, *, experiment: str | None = None, status: str | None = None) -> Run:
        """The one run meant by an id, a name, a unique prefix of either, or "latest"."""
        runs = [r for r in self.runs() if experiment in (None, r.experiment) and status in (None, r.status)]
        kind = " ".join(word for word in (status, experiment, "run") if word)
        if not runs:
            command = self.command(f"ssl {EXPERIMENTS[experiment or 'pretrain']}")
            raise StateError(f"there is no {kind} in {self.root}; to make one, type: {command}")
        if not selector:
            raise UsageError("a run is named by its id, its name, a unique prefix of either, or latest; not by nothing")
        if selector == "latest":
            return runs[-1]
        begun = [r for r in runs if r.id.startswith(selector) or (r.name or "").startswith(selector)]
        found = called(runs, selector)[-1:] or begun
        if len(found) == 1:
            return found[0]
        if not found:
            known, listing = ", ".join(r.id for r in runs[-5:]), self.command("ssl runs list")
            raise StateError(f"no {kind} is called {selector!r}; the newest are: {known}. To see all, type: {listing}")
        listed = ", ".join(run.id for run in found[:8]) + (" and others" if found[8:] else "")
        raise StateError(f"{selector!r} fits {len(found)} runs: {listed}; type more of it")

    def load(self, run: Run) -> Run:
        """The whole record of a run, from its run.yaml; of a published run, which has none, what the index has."""
        path = self.path(f"{run.folder}/run.yaml")
        if path.exists():
            return parse_run(load_yaml(path), str(path))
        if run.status != "published":
            remedy = self.command("ssl runs rebuild")
            raise StateError(f"run {run.id} has lost {path}; to take what is lost out of the index, type: {remedy}")
        return run

    def create(self, stem: str, **known: Any) -> Run:
        """Add a run called `stem`, or as much of it as an id may have, and four random characters; its folder is made and it
        is in the index.
        """
        stem = stem[:LONGEST_STEM].rstrip("-._")
        with self._locked():
            runs = self.runs()
            taken = {run.id for run in runs}
            run = Run(id=stem, created=now(), **known)
            while run.id == stem or run.id in taken or self.path(run.folder).exists():
                run.id = f"{stem}-{''.join(secrets.choice('abcdefghjkmnpqrstuvwxyz23456789') for _ in range(4))}"
            self._write_record(run)
            self._write_index([*runs, run])
        return run

    def save(self, run: Run) -> None:
        """Write what is known of a run: its record, then the index where that changes.

        An index that somebody damaged meanwhile is left as it is, since it can be rebuilt and a training cannot.
        """
        with self._locked():
            self._write_record(run)
            try:
                runs = self.runs()
            except UsageError:
                return
            known = {other.id: position for position, other in enumerate(runs)}
            if run.id not in known:
                self._write_index([*runs, run])
            elif runs[known[run.id]].index_entry() != run.index_entry():
                runs[known[run.id]] = run
                self._write_index(runs)

    def remove(self, ids: set[str]) -> None:
        """Take runs out of the index; their folders are the caller's."""
        with self._locked():
            self._write_index([run for run in self.runs() if run.id not in ids])

    def rebuild(self) -> tuple[list[Run], list[str]]:
        """Make the index anew from the records under runs/; published runs stay. Returns the runs and what was wrong."""
        with self._locked():
            found, problems = [], []
            for path in sorted(self.root.glob("runs/*/*/run.yaml")):
                try:
                    run = parse_run(load_yaml(path), str(path))
                    if self.path(run.folder) != path.parent.resolve():
                        raise UsageError(f"{path}: the record says {run.folder}; not taken in")
                    found.append(run)
                except (UsageError, OSError) as error:
                    problems.append(str(error))
            noted = {run.id for run in found}  # a published run that somebody wrote a note on has a record, too
            published = [run for run in self._published(problems) if run.id not in noted]
            self._write_index(published + sorted(found, key=lambda run: (run.created or "", run.id)))
        return published + found, problems

    def _published(self, problems: list[str]) -> list[Run]:
        """The published runs of the index, which stand nowhere else; of a damaged one those whose lines are whole."""
        try:
            return [run for run in self.runs() if run.status == "published"]
        except UsageError as error:
            damaged = self.index.with_name("registry.yaml.damaged")
            damaged.write_bytes(self.index.read_bytes())
            problems.append(f"{error}; the old index is kept as {damaged}")
        saved = []
        for line in damaged.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                saved.append(parse_run(json.loads(line.removeprefix("- ")), line[:40]))
            except (ValueError, RecursionError, UsageError):
                continue
        return [run for run in {run.id: run for run in saved}.values() if run.status == "published"]

    def _write_record(self, run: Run) -> None:
        content = {name: value for name, value in asdict(run).items() if value not in (None, {}, [])}
        content |= {FIELD: current()} if run.options else {}
        text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
        path = self.path(f"{run.folder}/run.yaml")
        remove_unfinished(path)
        write_text(path, text)

    def _write_index(self, runs: list[Run]) -> None:
        lines = "".join(f"- {json.dumps(run.index_entry(), ensure_ascii=True)}\n" for run in runs)
        remove_unfinished(self.index)
        write_text(self.index, HEADER + ("runs:\n" + lines if runs else "runs: []\n"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock under which the index and all records are written."""
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.root / "runs" / ".lock", timeout=LOCK_TIMEOUT))
            except HeldError as error:
                raise StateError(f"{self.index} has been locked for {LOCK_TIMEOUT} s by {error}; try again") from None
            yield

    @contextmanager
    def claim(self, run: Run, *, patience: float = 0) -> Iterator[None]:
        """Hold a run for as long as it is worked on. A process that dies lets go; a second claim is a StateError.

        With `patience` in seconds: whoever asks for a run's status holds it for a moment.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._lock_of(run), timeout=patience))
            except HeldError as error:
                beat = self.heartbeat(run)
                who = f"process {beat.process} on {beat.host}" if beat and str(error) == SOMEBODY else str(error)
                raise StateError(f"run {run.id} is being worked on by {who}; wait for it, or stop that one") from None
            yield

    def _lock_of(self, run: Run) -> Path:
        return self.path(f"{run.folder}/.lock")

    def beat(self, run: Run) -> None:
        """Write down that this process works on a run, and when."""
        beat = {"host": platform.node(), "process": os.getpid(), "at": now()}
        path = self.path(f"{run.folder}/.heartbeat")
        if path.parent.is_dir():  # it was not deleted meanwhile
            with suppress(StateError):  # a full disk is no reason to stop: the training will meet it at its next checkpoint
                write_text(path, json.dumps(beat))

    def heartbeat(self, run: Run) -> Heartbeat | None:
        """The last sign of life of a run's process; None if there is none that can be read."""
        try:
            beat = json.loads(self.path(f"{run.folder}/.heartbeat").read_text(encoding="utf-8"))
            return Heartbeat(str(beat["host"]), int(beat["process"]), datetime.fromisoformat(beat["at"]).astimezone(UTC))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError):
            return None

    def elsewhere(self, run: Run) -> str | None:
        """Of a run that another machine was running: where, and when it was last seen there. Its lock tells nothing here."""
        beat = self.heartbeat(run) if run.status == "running" else None
        if beat is None or beat.host == platform.node():
            return None
        return f"on {beat.host}, last seen {max(0, (datetime.now(UTC) - beat.at).total_seconds()):.0f} s ago"

    def status(self, run: Run) -> str:
        """The run's status, where a running one whose process is gone from this machine counts as interrupted."""
        if run.status != "running" or self.elsewhere(run):
            return run.status
        return "running" if is_held(self._lock_of(run)) else "interrupted"
