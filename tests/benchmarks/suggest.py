"""Do the pictures that ssl suggest chooses teach more than random ones? `python -m tests.benchmarks.suggest` prints it.

One encoder, pretrained without labels, gives h of CIFAR-10's training images. Each way of choosing asks for 50 labels, then for
more, up to 100, 200 and 500. A logistic regression learns from each set, and all test images say what it is worth. Nothing is
chosen on them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sslcli.console.tables import print_rows
from sslcli.evaluation.choosing import STRENGTH, Rows, typical, unsure
from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.statistics import t_quantile
from sslcli.export.reading import reader_of
from sslcli.runs.registry import Registry
from tests.benchmarks import machine, options_of_representations

COMMAND = "tests.benchmarks.suggest"
SIZES = (50, 100, 200, 500)
NONE = np.empty(0, np.int64)
Labelled = tuple[torch.Tensor, torch.Tensor]
Choose = Callable[[torch.Tensor, torch.Tensor, Rows, int, int], Rows]
"""From h (N, d), all labels (N,), the rows labelled so far, how many more, and the seed: the next rows."""


def at_random(h: torch.Tensor, _: torch.Tensor, labelled: Rows, n: int, seed: int) -> Rows:
    """Rows drawn at random; each longer draw of a seed begins with the shorter one."""
    return np.random.default_rng(seed).permutation(len(h))[len(labelled) : len(labelled) + n]


def by_type(h: torch.Tensor, _: torch.Tensor, labelled: Rows, n: int, seed: int) -> Rows:
    """Typical pictures of each cluster, at every size."""
    return typical(h, labelled, n=n, seed=seed)


def by_margin(h: torch.Tensor, labels: torch.Tensor, labelled: Rows, n: int, seed: int) -> Rows:
    """The first ones typical, the others those with the smallest margin."""
    if not len(labelled):
        return typical(h, labelled, n=n, seed=seed)
    return unsure(h, labelled, labels[labelled].numpy(), n=n)


WAYS: dict[str, Choose] = {"random": at_random, "typical": by_type, "margin": by_margin}


def accuracies(
    h: torch.Tensor, labels: torch.Tensor, test: tuple[torch.Tensor, torch.Tensor], way: Choose, seed: int
) -> list[float]:
    """The test accuracy (fraction) with each number of labels of SIZES, chosen in one way."""
    mean, std = standardisation(h)
    train, tested = (((some - mean) / std).numpy() for some in (h, test[0]))
    rows, found = NONE, []
    for size in SIZES:
        rows = np.concatenate([rows, way(h, labels, rows, size - len(rows), seed)])
        probe = LogisticRegression(C=STRENGTH, max_iter=300).fit(train[rows], labels[rows])
        found.append(float(probe.score(tested, test[1])))
    return found


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval over seeds, in points: +1.2 (-0.3 to +2.7)."""
    mean = 100 * fmean(values)
    half = 100 * t_quantile(len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def rows_of(found: dict[str, list[list[float]]]) -> list[dict[str, str]]:
    """The table: for each way and size the mean and deviation over seeds, and the difference from random with its interval."""
    rows = []
    for place, size in enumerate(SIZES):
        row = {"labels": str(size)}
        for name, seeds in found.items():
            at = [one[place] for one in seeds]
            row[name] = f"{100 * fmean(at):.1f} ± {100 * stdev(at):.1f}"
            if name != "random":
                row[f"{name}-random"] = interval([a - b[place] for a, b in zip(at, found["random"], strict=True)])
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = options_of_representations(COMMAND, __doc__ or "", arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    reader = reader_of(Registry(options.project.resolve()), options.run, data_dir=options.data_dir, device="cpu")
    data = reader.data()
    h, test = reader.h(data.train_images), (reader.h(data.test_images), data.test_labels)
    found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    for seed in range(1, options.seeds + 1):
        for name, way in WAYS.items():
            found[name].append(accuracies(h, data.train_labels, test, way, seed))
            print(f"seed {seed}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    heads = {"labels": "labels"}
    for name in WAYS:
        heads |= {name: f"{name} (%)"} | ({f"{name}-random": f"{name} - random, 95 % interval"} if name != "random" else {})
    print_rows(rows_of(found), heads, style="markdown" if options.markdown else "table")
    print(f"\n{reader.run.id}; {machine(COMMAND, 'scikit-learn')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
