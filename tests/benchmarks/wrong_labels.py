"""How many of the most suspect labels are wrong? `python -m tests.benchmarks.wrong_labels` flips labels and prints it.

One encoder, pretrained without labels, gives h of CIFAR-10's training images. 5 % of the training labels are flipped: to any
other class, or within pairs of similar classes, the kind of mistake that people make (as in CIFAR-10N, arXiv:2110.12088).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
import torch

from sslcli.console.tables import print_rows
from sslcli.evaluation.suspects import Rows, suspects
from sslcli.export.reading import reader_of
from sslcli.runs.registry import Registry
from tests.benchmarks import machine, options_of_representations

COMMAND = "tests.benchmarks.wrong_labels"
SHARE = 0.05
PAIRS = (
    ("cat", "dog"), ("truck", "automobile"), ("deer", "horse"), ("airplane", "ship"), ("bird", "airplane"), ("frog", "cat"),
)  # fmt: skip
"""Similar classes; of a class in two pairs, half of its wrong labels are of each."""
FIRST = (20, 100, 500)
Flip = Callable[[int, np.random.Generator], int]
"""From the true class: a wrong one."""


def to_any(classes: Sequence[str]) -> Flip:
    """Every other class with the same probability."""
    return lambda label, random: int((label + random.integers(1, len(classes))) % len(classes))


def as_people_do(classes: Sequence[str]) -> Flip:
    """The other class of one of the label's pairs."""
    numbers = [(classes.index(first), classes.index(second)) for first, second in PAIRS]
    others = {label: [a + b - label for a, b in numbers if label in (a, b)] for label in range(len(classes))}
    return lambda label, random: int(random.choice(others[label]))


def flipped(labels: torch.Tensor, flip: Flip, seed: int) -> tuple[torch.Tensor, Rows]:
    """The labels with 5 % of them wrong, drawn at random, and the rows of those."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(labels))[: round(SHARE * len(labels))]
    wrong = labels.clone()
    for row in rows.tolist():
        wrong[row] = flip(int(labels[row]), random)
    return wrong, rows


def found_of(h: torch.Tensor, labels: torch.Tensor, flip: Flip, seed: int) -> dict[str, float]:
    """The share of wrong labels among the first suspects, and the share of the wrong ones that are suspects at all."""
    wrong, rows = flipped(labels, flip, seed)
    found = suspects(h, wrong, seed=seed)
    hit = np.isin(found.rows, rows)
    renamed = found.classes == labels.numpy()[found.rows]
    return {
        **{str(count): float(hit[:count].mean()) for count in FIRST},
        "suspects": float(len(hit)), "recall": float(hit.sum() / len(rows)), "renamed": float(renamed[:100][hit[:100]].mean()),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = options_of_representations(COMMAND, __doc__ or "", arguments)
    reader = reader_of(Registry(options.project.resolve()), options.run, data_dir=options.data_dir, device="cpu")
    data = reader.data()
    h, rows = reader.h(data.train_images), []
    for name, make in (("to any other class", to_any), ("to a similar class", as_people_do)):
        found = []
        for seed in range(1, options.seeds + 1):
            found.append(found_of(h, data.train_labels, make(data.classes), seed))
            print(f"{name}, seed {seed}: {found[-1]}", file=sys.stderr, flush=True)
        row = {"flips": name}
        for key in found[0]:
            values = [one[key] * (1 if key == "suspects" else 100) for one in found]
            row[key] = f"{fmean(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        rows.append(row)
    heads = {"flips": "5 % of the labels flipped", **{str(count): f"wrong among the first {count} (%)" for count in FIRST},
             "suspects": "suspects", "recall": "flips among the suspects (%)",
             "renamed": "right class for flips in the first 100 (%)"}  # fmt: skip
    print_rows(rows, heads, style="markdown" if options.markdown else "table")
    print(f"\n{reader.run.id}; {machine(COMMAND, 'scikit-learn')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
