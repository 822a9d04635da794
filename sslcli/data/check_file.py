"""Write and read the file of `ssl data check`, results/data/<data set>.json. Imports no torch."""

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
    """Two images that show the same picture. `where` is train or test; `i` and `j` are positions there, from 0.

    The first comes before the second: training before test, lower positions before higher ones. The kind is exact (the
    same bytes), near, or mirrored (near, the second one mirrored); the similarity is at most 1.
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
        """Whether the two images have different labels; an image without a label, -1, contradicts none."""
        return self.label_a != self.label_b and min(self.label_a, self.label_b) >= 0


@dataclass(frozen=True, kw_only=True)
class Check:
    """The results of a data check. Balances count the labelled images by class; means and deviations are by channel,
    of values in [0, 1].

    `constant` holds (where, position) of the images of a single colour. `test_duplicates` holds the positions of test images
    with a duplicate, exact or near, in training or earlier in test: a clean test set leaves them out.
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
        """The pairs between `where_a` and `where_b`."""
        return [pair for pair in self.pairs if (pair.where_a, pair.where_b) == (where_a, where_b)]

    @property
    def counts(self) -> dict[str, Any]:
        """The number of pairs of each kind by part, and of test images with a duplicate, by its part.

        A test image counts once: as exact in training, else near in training, else within test.
        """
        places = {"train": ("train", "train"), "test": ("test", "test"), "train_test": ("train", "test")}
        pairs = {
            name: {kind: sum(pair.kind == kind for pair in self.between(*ends)) for kind in KINDS}
            for name, ends in places.items()
        }
        exact = {pair.j for pair in self.between("train", "test") if pair.kind == "exact"}
        near = {pair.j for pair in self.between("train", "test")}
        equal = [
            pair for pair in self.between("test", "test") if pair.kind == "exact"
        ]  # only the first of them is paired with train
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
    """The sorted test positions of images that have a duplicate in training or earlier in test."""
    return sorted({pair.j for pair in pairs if pair.where_b == "test"})


def as_json(check: Check) -> str:
    """The text of a check's file, one pair per line."""
    content: dict[str, Any] = asdict(check) | {"counts": check.counts}
    pairs = ",\n".join("  " + json.dumps(pair) for pair in content.pop("pairs"))
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    return "{\n" + ",\n".join([*lines, f' "pairs": [\n{pairs}\n ]' if pairs else ' "pairs": []']) + "\n}\n"


def write_check(path: Path, check: Check) -> None:
    """Write a check, whole or not at all; a StateError if it cannot be written."""
    write_text(path, as_json(check))


def read_check(path: Path) -> Check:
    """Read the file of `write_check`; a StateError if it is missing, damaged, or another kind of file."""
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
    """A contradiction among a check's values, in words; "" if there is none."""
    sizes = {where: check.sizes[where] for where in PLACES}
    for pair in check.pairs:
        if pair.kind not in KINDS or not (0 <= pair.i < sizes[pair.where_a] and 0 <= pair.j < sizes[pair.where_b]):
            return f"no such pair of images: {list(pair)}"
    if check.test_duplicates != test_duplicates_of(check.pairs):
        return "test_duplicates are not those of the pairs"
    if any(sum(check.class_balance[where]) > sizes[where] for where in PLACES):
        return "class_balance has more images than there are"
    return "" if len(check.fingerprint) == 64 else f"fingerprint {check.fingerprint!r} is no sha256"
