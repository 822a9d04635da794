"""A run: one training or evaluation, and how it is read from YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import TypedDict, cast

from sslcli.errors import UsageError
from sslcli.runs.choices import Choices, are_choices
from sslcli.runs.option_versions import FIELD, FIRST, as_now, version_in

EXPERIMENTS = {"pretrain": "pretrain", "linear_eval": "probe", "knn": "probe", "finetune": "finetune"}
"""Each experiment to the command that makes its runs."""
STATUSES = ("running", "interrupted", "failed", "finished", "published")
"""The statuses that a record may have."""
WAITING = "waiting"
"""What commands call a run that a study has entered and nobody has begun; its record says interrupted."""
FIRST_METHOD = str(FIRST["pretrain"]["method"])
"""The only method of the first versions."""
LEGAL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class Origin(TypedDict, total=False):
    """The file of others' weights that a run starts from; empty without one. An evaluation keeps only file and sha256."""

    file: str
    sha256: str
    renamed: dict[str, str]
    dropped: dict[str, int]


class Code(TypedDict, total=False):
    """The file of a method outside the program; empty without one."""

    file: str
    sha256: str
    name: str


class Data(TypedDict, total=False):
    """The data of a run: the images, how a picture becomes an input, and other files that it starts from.

    Sides are in pixels; `mean` and `std` (3,) normalise values in [0, 1]. Older versions recorded less.
    """

    sha256: str
    image_size: int
    kept_size: int
    fit: str
    mean: list[float]
    std: list[float]
    init: Origin
    method: Code
    test_seen_in_pretraining: int
    encoder_sha256: str
    classes: list[str]


class Attempt(TypedDict, total=False):
    """The work of one process on a run: when, where, and how it ended. Times are in UTC, as ISO 8601."""

    started: str
    host: str
    process: int
    ended: str
    status: str


class Settled(TypedDict, total=False):
    """The options of a run that other parts of the program read by name."""

    backbone: str
    stem: str
    precision: str
    seed: int
    label_fraction: float
    projector_dim: int


@dataclass(kw_only=True)
class Run:
    """One training or evaluation. The index holds the fields up to `metrics`, run.yaml holds all of them.

    Accuracies in `metrics` are fractions. `pair` is equal for runs whose resolved options differ only in `init`, `setup`
    for those that differ only in init and seed. `init` is pretrained, scratch, or file name and sha256 of others' weights.
    `both_right` counts the test images that this run and another run of the setup (by id) both have right; intervals are
    computed from it.
    `method` trains the encoder, or has trained the one that is evaluated.
    `at_epoch` is the epoch of the parent whose kept checkpoint was evaluated; None is its last.
    `choices` holds choices made before the first step, which a resume keeps: "rate"; "tried", the validation accuracy of
    each rate; "minutes", from which epochs, views and network were set; "settings", which a study tried for the method.
    `checkpoints` maps a file's name to the sha256 that it may have: the newest, then the one before, because a file and its
    hash cannot be replaced at the same instant.
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
    metrics: dict[str, float] = field(default_factory=dict)
    both_right: dict[str, int] = field(default_factory=dict)
    note: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    command: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    device: str | None = None
    data: Data = field(default_factory=Data)
    choices: Choices = field(default_factory=Choices)
    history: list[dict[str, float]] = field(default_factory=list)
    checkpoints: dict[str, list[str]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    error: str | None = None

    @property
    def encoder_method(self) -> str | None:
        """The method that trains or trained the encoder; None for a random encoder, or for others' weights as they are.

        Runs of versions with a single method do not name it.
        """
        trained = self.experiment == "pretrain" or (self.init or "").startswith("pretrained")
        return self.method or (FIRST_METHOD if trained else None)

    @property
    def folder(self) -> str:
        """The run's folder, relative to the project."""
        return f"runs/{self.experiment}/{self.id}"

    @property
    def settled(self) -> Settled:
        """The options that the program reads by their names."""
        return cast(Settled, self.options)  # each is checked when a command is built from them

    def copied(self) -> Run:
        """A copy that shares no list and no dictionary with this run."""
        copy = object.__new__(Run)
        vars(copy).update(vars(self), **{name: vars(self)[name].copy() for name in _CONTAINERS})
        return copy

    def index_entry(self) -> dict[str, object]:
        """The entry of this run in the index."""
        return {name: value for name in INDEX_FIELDS if (value := getattr(self, name)) not in (None, {})}


_FIELDS = {f.name: "dict" if str(f.type) in ("Data", "Choices") else str(f.type) for f in fields(Run)}
_CONTAINERS = [name for name, kind in _FIELDS.items() if kind.startswith(("dict", "list"))]
INDEX_FIELDS = tuple(_FIELDS)[: tuple(_FIELDS).index("note") + 1]


def _types(annotation: str) -> tuple[type, ...]:
    """The types that a field takes; an exact match, so that no truth value passes for a number."""
    kinds = {"str": (str,), "int": (int,), "float": (int, float), "dict": (dict,), "list": (list,)}
    return kinds[re.split(r"[\[ ]", annotation)[0]] + ((type(None),) if "None" in annotation else ())


_TYPES = {name: _types(annotation) for name, annotation in _FIELDS.items()}


def _is_epoch(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in entry.values())
        and entry.get("epoch", 0) > 0 and entry.get("step", 0) > 0
    )  # fmt: skip


def parse_run(content: object, source: str) -> Run:
    """Turn YAML content into a Run with the current names of options; a UsageError says what is wrong in `source`."""
    if not isinstance(content, dict):
        raise UsageError(f"{source}: a run is a mapping, this is {type(content).__name__}: {str(content)[:60]!r}")
    for required in ("id", "experiment", "status"):
        if not isinstance(content.get(required), str):
            raise UsageError(f"{source}: the run lacks its {required!r}, or it is not text")
    version = version_in(content, source)
    if FIELD in content:
        content = {key: value for key, value in content.items() if key != FIELD}
    for key, value in content.items():
        if type(value) not in _TYPES.get(key, ()):
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
    if not are_choices(run.choices):
        raise UsageError(f"{source}: choices are the rate taken, each rate or setting tried with its accuracy, and minutes")
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
    """The run with this id, else the runs with this name, oldest first."""
    return [run for run in runs if run.id == name] or [run for run in runs if run.name == name]
