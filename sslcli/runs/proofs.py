"""What proves each field of a run's record: the table that `ssl runs verify` goes by. Imports no torch."""

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
"""What a field is held to, in words. The first two are looked at by every `ssl runs verify`, the others by --numbers."""
CODE = "method.py"
"""What a run's folder calls the content of its method's file, of a method outside the program."""
PROOFS: dict[str, tuple[str, ...]] = {
    "id": ("files", "checkpoint"),
    "experiment": ("files", "checkpoint"),
    "status": ("record", "training"),
    "name": ("record", "checkpoint"),
    "study": ("checkpoint",),
    "parent": ("checkpoint",),
    "protocol": ("record", "checkpoint"),
    "method": ("record", "checkpoint"),
    "init": ("record", "checkpoint"),
    "dataset": ("record", "checkpoint"),
    "backbone": ("record", "checkpoint"),
    "seed": ("record", "checkpoint"),
    "epochs": ("checkpoint",),
    "label_fraction": ("record", "checkpoint"),
    "at_epoch": ("record", "checkpoint"),
    "pair": ("record", "checkpoint"),
    "setup": ("record", "checkpoint"),
    "created": ("checkpoint",),
    "checkpoint": ("record",),
    "sha256": ("record",),
    "metrics.*": ("checkpoint", "training", "logits"),
    "both_right.*": ("checkpoint", "logits"),
    "note": (),
    "options.*": ("checkpoint",),
    "command": ("checkpoint",),
    "versions.*": ("checkpoint",),
    "device": ("checkpoint",),
    "data.encoder_sha256": ("checkpoint", "weights", "parent"),
    "data.test_seen_in_pretraining": ("checkpoint", "pictures"),
    "data.*": ("checkpoint",),
    "choices.*": ("checkpoint",),
    "history.*": ("training",),
    "checkpoints.*.0": ("files",),
    "checkpoints.*": (),
    "attempts.last.status": ("record",),
    "attempts.last.ended": (),
    "attempts.*": ("checkpoint",),
    "error": ("record",),
}
"""Each field of a record, of nested ones by dotted names, to what proves it, keys of SOURCES; () is not provable: notes may be
written at any time, and the end of the last attempt and the hash of a replaced checkpoint stand nowhere else. The first pattern
that fits a name counts.

All rests on the sha256 of the checkpoints, which stand in the same record: who puts another checkpoint in the place of one, and
its hash into the record, is not found. Nor is who deletes a run's files and calls it published: numbers alone prove nothing.
"""


ABSENT: object = type("Absent", (), {"__repr__": lambda _: "absent"})()
"""In the place of a value that is not there: None is one."""


@cache
def _pattern(name: str) -> str:
    return next(pattern for pattern in PROOFS if fnmatchcase(name, pattern))


def proofs_of(name: str) -> tuple[str, ...]:
    """What proves the field of this dotted name."""
    return PROOFS[_pattern(name)]


SEALED = tuple(
    field for field in Run.__dataclass_fields__
    if field != "metrics" and any("checkpoint" in PROOFS[known] for known in PROOFS if known.partition(".")[0] == field)
)  # fmt: skip
"""The fields of a run whose values every checkpoint has a copy of. An evaluation's best.pt has its metrics apart."""


class Seal(TypedDict):
    """Of the copy of a record in a checkpoint, what says how to read it."""

    experiment: str
    options: dict[str, object]


def sealed(run: Run) -> dict[str, object]:
    """What a run is, in plain data, for its checkpoint."""
    return {name: value for name, value in asdict(run).items() if name in SEALED} | {FIELD: current()}


def unsealed(copy: Seal, source: str) -> dict[str, object]:
    """What `sealed` gave, of this version or an older one: the options have their names of today."""
    options = as_now(EXPERIMENTS[copy["experiment"]], copy["options"], version_in(copy, source))
    return {name: value for name, value in copy.items() if name != FIELD} | {"options": options}


@dataclass(frozen=True)
class Evidence:
    """What a record must say according to a source: values by dotted names.

    Nothing else may stand in the fields `whole`. Numbers may differ by the part `within`. `hashed` are names whose values
    another value, a hash, stands for.
    """

    source: str
    values: Mapping[str, object]
    whole: tuple[str, ...] = ()
    within: float = 0.0
    hashed: tuple[str, ...] = ()

    def tells(self, name: str) -> bool:
        """Whether it has a say on a field, as the table allows it to."""
        return self.source in proofs_of(name) and (name in self.values or name.partition(".")[0] in self.whole)


def by_name(content: Mapping[str, object], *, attempts: int) -> dict[str, object]:
    """Values of a run's fields by dotted names; the last of so many attempts is called last."""
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
    """The fields of a record that are not what the evidence says, in words."""
    told = by_name(asdict(record), attempts=len(record.attempts))
    found: dict[str, str] = {}
    for item in evidence:
        for name in filter(item.tells, {**told, **item.values}):
            here, there = told.get(name, ABSENT), item.values.get(name, ABSENT)
            if name not in found and not _equal(here, there, within=item.within):
                shown = name.replace("metrics.", "metric ", 1)
                found[name] = f"changed: {shown} is {here} on record, and {there} by {SOURCES[item.source]}"
    return list(found.values())


def _equal(first: object, second: object, *, within: float) -> bool:
    """Whether two values are the same, and of the same type: true is not 1."""
    if isinstance(first, float) and isinstance(second, float):
        close = math.isclose(first, second, rel_tol=within, abs_tol=within)
        return close or (math.isnan(first) and math.isnan(second))
    return type(first) is type(second) and bool(first == second)


def unproven(record: Run, evidence: Sequence[Evidence]) -> list[str]:
    """The fields that a checkpoint could prove and no evidence does; by the table's pattern where that is all of them."""
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
