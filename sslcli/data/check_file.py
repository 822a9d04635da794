"""The file that `ssl data check` leaves, results/data/<data set>.json: written, and read again without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sslcli.errors import StateError
from sslcli.files import write_text

KINDS = ("exact", "near", "mirrored")
PLACES = ("train", "test")


class Pair(NamedTuple):
    """Two images that show the same picture. `where` is train or test, `i` and `j` are places there, from 0.

    The first comes before the second: training before test, and lower places before higher ones. The kind is exact (the
    same bytes), near, or mirrored (near, the second one mirrored); the similarity is 1 at most.
    """

    kind: str
    where_a: str
    i: int
    where_b: str
    j: int
    similarity: float
    label_a: int
    label_b: int

    @property
    def disagrees(self) -> bool:
        """Whether the two images of one picture have different labels; those without one, -1, contradict none."""
        return self.label_a != self.label_b and min(self.label_a, self.label_b) >= 0


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found in a data set. Balances are counts by class of the images that have one; means and deviations
    are by channel, of values in [0, 1].

    `constant` holds (where, place) of the images of one colour. `test_duplicates` holds the places of the test images that
    have a duplicate, exact or near, in training or earlier in test: what a clean test set leaves out.
    """

    dataset: str
    fingerprint: str
    sizes: dict[str, int]
    classes: list[str]
    class_balance: dict[str, list[int]]
    mean: list[float]
    std: list[float]
    constant: list[tuple[str, int]]
    threshold: float
    pairs: list[Pair]
    test_duplicates: list[int]

    def between(self, where_a: str, where_b: str) -> list[Pair]:
        """The pairs of an image in `where_a` and one in `where_b`."""
        return [pair for pair in self.pairs if (pair.where_a, pair.where_b) == (where_a, where_b)]

    @property
    def counts(self) -> dict[str, Any]:
        """How many pairs there are of each kind by place, and how many test images have a duplicate, and where.

        A test image counts once: as exact in training, else near in training, else within test.
        """
        places = {"train": ("train", "train"), "test": ("test", "test"), "train_test": ("train", "test")}
        pairs = {
            name: {kind: sum(pair.kind == kind for pair in self.between(*ends)) for kind in KINDS}
            for name, ends in places.items()
        }
        exact = {pair.j for pair in self.between("train", "test") if pair.kind == "exact"}
        near = {pair.j for pair in self.between("train", "test")}
        equal = [pair for pair in self.between("test", "test") if pair.kind == "exact"]  # paired with train by the first alone
        near = (near | {pair.j for pair in equal if pair.i in near}) - exact
        within = {place for pair in self.between("test", "test") for place in (pair.i, pair.j)} - exact - near
        images = {"exact_in_train": len(exact), "near_in_train": len(near), "within_test_only": len(within)}
        return {
            "pairs": pairs,
            "test_images": images | {"any": sum(images.values()), "left_out": len(self.test_duplicates)},
            "label_disagreements": sum(pair.disagrees for pair in self.pairs),
            "constant": len(self.constant),
        }


def test_duplicates_of(pairs: Sequence[Pair]) -> list[int]:
    """The places in test of those images that have a duplicate in training or earlier in test, in order."""
    return sorted({pair.j for pair in pairs if pair.where_b == "test"})


def as_json(check: Check) -> str:
    """A check as the text of its file; a pair a line."""
    content: dict[str, Any] = asdict(check) | {"counts": check.counts}
    pairs = ",\n".join("  " + json.dumps(pair) for pair in content.pop("pairs"))
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    return "{\n" + ",\n".join([*lines, f' "pairs": [\n{pairs}\n ]' if pairs else ' "pairs": []']) + "\n}\n"


def write_check(path: Path, check: Check) -> None:
    """Write a check, whole or not at all; a StateError if it cannot be written."""
    write_text(path, as_json(check))


def read_check(path: Path) -> Check:
    """Read what `write_check` wrote; a StateError if it is missing, damaged, or no such file."""
    again = f"to make it anew, type: ssl data check, with --dataset {path.stem} or the folder: that it is of"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check = Check(**{name: content[name] for name in Check.__dataclass_fields__})
        pairs = [Pair(*pair) for pair in check.pairs]
        constant = [(str(where), int(place)) for where, place in check.constant]
        whole = Check(**vars(check) | {"pairs": pairs, "constant": constant})
        problem = _problem(whole)
    except FileNotFoundError:
        raise StateError(f"{path} is missing: the data set has not been checked; {again}") from None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StateError(f"{path} is damaged ({type(error).__name__}: {error}); {again}") from error
    if problem:
        raise StateError(f"{path} is damaged ({problem}); {again}")
    return whole


def _problem(check: Check) -> str:
    """What in a check's values contradicts itself, in words; nothing if all fits."""
    sizes = {where: check.sizes[where] for where in PLACES}
    for pair in check.pairs:
        if pair.kind not in KINDS or not (0 <= pair.i < sizes[pair.where_a] and 0 <= pair.j < sizes[pair.where_b]):
            return f"no such pair of images: {list(pair)}"
    if check.test_duplicates != test_duplicates_of(check.pairs):
        return "test_duplicates are not those of the pairs"
    if any(sum(check.class_balance[where]) > sizes[where] for where in PLACES):
        return "class_balance has more images than there are"
    return "" if len(check.fingerprint) == 64 else f"fingerprint {check.fingerprint!r} is no sha256"
