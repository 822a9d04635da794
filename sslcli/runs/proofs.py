"""The table of `ssl runs verify`: what each field of a run's record is checked against. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TypedDict

from sslcli.runs.option_versions import FIELD, as_now, current, version_in
from sslcli.runs.run import EXPERIMENTS, Run

SOURCES = {
    "record": "other fields of the record",
    "files": "the files in the run's folder",
    "checkpoint": "the copy in the run's checkpoint",
    "training": "the training's state in last.pt",
    "weights": "the weights in best.pt",
    "parent": "the encoder of the pretrain run",
    "logits": "the test logits",
    "pictures": "the lists of pictures",
}
"""The sources that fields are checked against, in words. Every `ssl runs verify` uses the first two, --numbers all."""
CODE = "method.py"
"""The name of the copy of a method's file in a run's folder, for a method outside the program."""
_COPIED = ("record", "checkpoint")
PROOFS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("id", "experiment"), ("files", "checkpoint")),
    "status": ("record", "training"),
    "name": _COPIED,
    **dict.fromkeys(("study", "parent"), ("checkpoint",)),
    **dict.fromkeys(("protocol", "method", "init", "dataset", "backbone", "seed"), _COPIED),
    "epochs": ("checkpoint",),
    **dict.fromkeys(("label_fraction", "at_epoch", "pair", "setup"), _COPIED),
    "created": ("checkpoint",),
    **dict.fromkeys(("checkpoint", "sha256"), ("record",)),
    "metrics.*": ("checkpoint", "training", "logits"),
    "both_right.*": ("checkpoint", "logits"),
    "note": (),
    **dict.fromkeys(("options.*", "command", "versions.*", "device"), ("checkpoint",)),
    "data.encoder_sha256": ("checkpoint", "weights", "parent"),
    "data.test_seen_in_pretraining": ("checkpoint", "pictures"),
    **dict.fromkeys(("data.*", "choices.*"), ("checkpoint",)),
    "history.*": ("training",),
    "checkpoints.*.0": ("files",),
    "checkpoints.*": (),
    "attempts.last.status": ("record",),
    "attempts.last.ended": (),
    "attempts.*": ("checkpoint",),
    "error": ("record",),
}
"""Each field of a record (nested ones by dotted names) to the keys of SOURCES that prove it. () cannot be proven: notes may be
written at any time, and the end of the last attempt and the hash of a replaced checkpoint are recorded nowhere else. The first
pattern that matches a name counts.

Everything rests on the sha256 of the checkpoints, which is in the same record. If someone replaces a checkpoint and its hash,
no check finds it. Nor if someone deletes a run's files and marks it as published: numbers alone prove nothing.
"""


ABSENT: object = type("Absent", (), {"__repr__": lambda _: "absent"})()
"""Stands for a missing value, since None is a value."""


@cache
def _pattern(name: str) -> str:
    return next(pattern for pattern in PROOFS if fnmatchcase(name, pattern))


def proofs_of(name: str) -> tuple[str, ...]:
    """The sources that prove the field with this dotted name."""
    return PROOFS[_pattern(name)]


SEALED = tuple(
    field for field in Run.__dataclass_fields__
    if field != "metrics" and any("checkpoint" in PROOFS[known] for known in PROOFS if known.partition(".")[0] == field)
)  # fmt: skip
"""The fields of a run that every checkpoint holds a copy of. An evaluation's best.pt holds its metrics separately."""


class Seal(TypedDict):
    """The field that says how to read the copy of a record in a checkpoint."""

    experiment: str
    options: dict[str, object]


def sealed(run: Run) -> dict[str, object]:
    """The copy of a run's record for its checkpoint, as plain data."""
    return {name: value for name, value in asdict(run).items() if name in SEALED} | {FIELD: current()}


def unsealed(copy: Seal, source: str) -> dict[str, object]:
    """The copy that `sealed` made, in this version or an older one, with the current names of the options."""
    options = as_now(EXPERIMENTS[copy["experiment"]], copy["options"], version_in(copy, source))
    return {name: value for name, value in copy.items() if name != FIELD} | {"options": options}


@dataclass(frozen=True)
class Evidence:
    """What a record must contain according to a source: values by dotted names.

    The fields `whole` may contain nothing else. Numbers may differ by the fraction `within`. `hashed` are names whose
    values are represented by another value, a hash.
    """

    source: str
    values: Mapping[str, object]
    whole: tuple[str, ...] = ()
    within: float = 0.0
    hashed: tuple[str, ...] = ()

    def tells(self, name: str) -> bool:
        """Whether this source can prove a field, according to the table."""
        return self.source in proofs_of(name) and (name in self.values or name.partition(".")[0] in self.whole)


def by_name(content: Mapping[str, object], *, attempts: int) -> dict[str, object]:
    """The values of a run's fields by dotted names; the last attempt is called last."""
    return {_with_last(name, attempts): value for field, inner in content.items() for name, value in _leaves(field, inner)}


def _leaves(name: str, value: object, *, depth: int = 0) -> Iterator[tuple[str, object]]:
    items: Iterable[tuple[object, object]] = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if not isinstance(value, (dict, list)) or (not value and depth):
        yield name, value
    for key, inner in items:
        yield from _leaves(f"{name}.{key}", inner, depth=depth + 1)


def _with_last(name: str, attempts: int) -> str:
    begin = f"attempts.{attempts - 1}."
    return f"attempts.last.{name.removeprefix(begin)}" if name.startswith(begin) else name


def changed(record: Run, evidence: Sequence[Evidence]) -> list[str]:
    """The fields of a record that contradict the evidence, in words."""
    told = by_name(asdict(record), attempts=len(record.attempts))
    found: dict[str, str] = {}
    for item in evidence:
        for name in filter(item.tells, {**told, **item.values}):
            here, there = told.get(name, ABSENT), item.values.get(name, ABSENT)
            if name not in found and not _equal(here, there, within=item.within):
                shown = name.replace("metrics.", "metric ", 1)
                found[name] = f"changed: {shown} is recorded as {here}, but {there} according to {SOURCES[item.source]}"
    return list(found.values())


def _equal(first: object, second: object, *, within: float) -> bool:
    """Whether two values are equal and of the same type: true is not 1."""
    if isinstance(first, float) and isinstance(second, float):
        close = math.isclose(first, second, rel_tol=within, abs_tol=within)
        return close or (math.isnan(first) and math.isnan(second))
    return type(first) is type(second) and bool(first == second)


def unproven(record: Run, evidence: Sequence[Evidence]) -> list[str]:
    """The fields that a checkpoint could prove but no evidence does; the table's pattern if that covers all of them."""
    told = by_name(asdict(record), attempts=len(record.attempts))
    known = {name for item in evidence for name in (*filter(item.tells, told), *item.hashed)}
    groups: dict[str, list[str]] = {}
    for name, value in told.items():
        if value is not None and "checkpoint" in proofs_of(name) and "files" not in proofs_of(name):
            groups.setdefault(_pattern(name), []).append(name)
    still_open = {pattern: [name for name in names if name not in known] for pattern, names in groups.items()}
    return [
        shown for pattern, names in still_open.items()
        for shown in ([pattern.removesuffix(".*")] if names == groups[pattern] else names)
    ]  # fmt: skip
