"""What do the intervals of tests in folds cover? `python -m tests.benchmarks.folds` simulates it with classifiers that train.

Two encoders give features of the same images: the mean of an image's class and normal noise, in part shared by the two. In each
fold a ridge classifier trains on the other folds. The truth is the mean difference of accuracies over many fresh training sets
of that size, each tested on many fresh images: `ssl` says what holds for other labels and other images.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sslcli.evaluation.statistics import Difference, Terms, over_seeds
from tests.benchmarks import machine, options_of_simulation

LABELS, FOLDS, CLASSES = (40, 100, 200, 500), (5, 10), (2, 10)
SIGNALS = ((1.0, 1.0), (2.0, 1.0), (3.0, 3.0), (0.0, 0.0), (4.0, 2.0))
"""How far apart the classes' means are, in deviations of the noise, for the features of either encoder."""
SHARED = (0.0, 0.9)
"""The part of the noise's variance that both encoders share: with much of it they are right on the same images."""
DIMENSION = 16
RIDGE = 1.0
MARKER = "## All labelled images in folds"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """A kind of study."""

    labels: int
    folds: int
    classes: int
    signals: tuple[float, float]
    shared: float


class World:
    """Where images come from: the means of the classes in the features of the two encoders."""

    def __init__(self, setting: Setting, random: np.random.Generator) -> None:
        self.setting, self.random = setting, random
        directions = random.standard_normal((2, setting.classes, DIMENSION))
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        self.means = directions * np.array(setting.signals)[:, None, None]

    def draw(self, sets: int, classes: NDArray[np.int64]) -> Array:
        """Features (sets, 2, images, DIMENSION + 1) of fresh images of these classes; the last feature is 1."""
        shape = (sets, 2, len(classes), DIMENSION)
        both = self.random.standard_normal((sets, 1, len(classes), DIMENSION))
        noise = np.sqrt(1 - self.setting.shared) * self.random.standard_normal(shape) + np.sqrt(self.setting.shared) * both
        return np.concatenate([self.means[:, classes] + noise, np.ones((*shape[:3], 1))], 3)


def classes_of(setting: Setting, count: int) -> NDArray[np.int64]:
    """The classes of so many images, about equally many of each."""
    return np.arange(count) % setting.classes


def ridge(kernel: Array, products: Array) -> Array:
    """The weights (..., DIMENSION + 1, classes) of ridge classifiers."""
    return np.linalg.solve(kernel + RIDGE * np.eye(DIMENSION + 1), products)


def truth_of(world: World, *, trainings: int = 200, images: int = 400) -> float:
    """The mean difference of accuracies over fresh training sets as large as those of the folds, each with fresh images."""
    setting = world.setting
    train, test = (classes_of(setting, count) for count in (setting.labels - setting.labels // setting.folds, images))
    x, targets = world.draw(trainings, train), np.eye(setting.classes)[train] - 1 / setting.classes
    weights = ridge(x.transpose(0, 1, 3, 2) @ x, x.transpose(0, 1, 3, 2) @ targets)
    right = (world.draw(trainings, test) @ weights).argmax(3) == test
    first, second = right.mean((0, 2))
    return float(first - second)


def tested(world: World, studies: int) -> NDArray[np.bool_]:
    """Which of the labelled images each encoder has right, (studies, 2, labels), each image tested in its fold."""
    setting = world.setting
    classes = classes_of(setting, setting.labels)
    order = np.argsort(classes, kind="stable")  # as sslcli.data.folds: class by class, round and round the folds
    of_fold = np.stack([order[number :: setting.folds] for number in range(setting.folds)])
    x = world.draw(studies, classes)[:, :, of_fold]  # (studies, 2, folds, images of a fold, features)
    targets = np.eye(setting.classes)[classes[of_fold]] - 1 / setting.classes
    kernels, products = x.transpose(0, 1, 2, 4, 3) @ x, x.transpose(0, 1, 2, 4, 3) @ targets
    weights = ridge(kernels.sum(2, keepdims=True) - kernels, products.sum(2, keepdims=True) - products)
    right = (x @ weights).argmax(4) == classes[of_fold]
    return right.reshape(studies, 2, setting.labels)


def said(found: NDArray[np.bool_], folds: int | None) -> Difference:
    """The interval from which images are right; without folds as if they had been tested by one classifier."""
    first, second = found
    difference, disagreement = float(first.mean() - second.mean()), float((first != second).mean())
    return over_seeds([difference], [disagreement], [], found.shape[1], terms=Terms(folds=folds))


def simulate(setting: Setting, worlds: int, studies: int) -> tuple[float, float, float, float]:
    """The share of studies whose interval covers the truth, the same without the correction, false ones, the half width."""
    random = np.random.default_rng([setting.labels, setting.folds, setting.classes, *(int(10 * s) for s in setting.signals)])
    covered = plain = false = width = 0.0
    for _ in range(worlds):
        world = World(setting, random)
        truth = truth_of(world)
        for found in tested(world, studies):
            with_folds, without = said(found, setting.folds), said(found, None)
            covered += with_folds.low <= truth <= with_folds.high
            plain += without.low <= truth <= without.high
            false += with_folds.low > max(0.0, truth) or with_folds.high < min(0.0, truth)
            width += (with_folds.high - with_folds.low) / 2
    count = worlds * studies
    return covered / count, plain / count, false / count, width / count


def rows(worlds: int, studies: int) -> Iterator[str]:
    """The lines of the table: for each number of labels and folds the worst of the settings."""
    yield "| labels | folds | covered | covered, uncorrected | false | half width, mean | least covered at |"
    yield "|--:|--:|--:|--:|--:|--:|---|"
    for labels, folds in product(LABELS, FOLDS):
        settings = [
            Setting(labels, folds, classes, signals, shared)
            for classes, signals, shared in product(CLASSES, SIGNALS, SHARED)
            if labels >= 10 * classes or classes == min(CLASSES)
        ]
        seen = {setting: simulate(setting, worlds, studies) for setting in settings}
        worst = min(settings, key=lambda setting: seen[setting][0])
        every = np.array(list(seen.values()))
        figures = [every[:, 0].min(), every[:, 1].min(), every[:, 2].max()]
        half = every[:, 3].mean()
        where = f"{worst.classes} classes; {worst.signals[0]:g} against {worst.signals[1]:g}; {worst.shared:g}"
        shares = " | ".join(f"{value:.1%}" for value in figures)
        yield f"| {labels} | {folds} | {shares} | ±{100 * half:.0f} points | {where} |"


def main() -> None:
    """Simulate and print the table, or write it into the page."""
    chosen = options_of_simulation(
        __doc__, worlds=(10, "pairs of encoders of each setting"), studies=(100, "studies with each pair of encoders")
    )
    lines = []
    for line in rows(chosen.worlds, chosen.studies):
        print(line, file=sys.stderr, flush=True)
        lines.append(line)
    count = chosen.worlds * chosen.studies
    section = SECTION.format(marker=MARKER, table="\n".join(lines), machine=machine("tests.benchmarks.folds"), count=count)
    if chosen.write:
        before = chosen.write.read_text(encoding="utf-8").partition(MARKER)[0]
        chosen.write.write_text(f"{before.rstrip()}\n\n{section}", encoding="utf-8")
    else:
        print(section)


SECTION = """{marker}

`ssl probe --folds K` tests every labelled image once. The K classifiers share most of their training images, so their results
are not independent, and an interval that forgets this is too narrow. `ssl compare` multiplies the variance over images by
1 + K / (K - 1). This is Nadeau and Bengio's correction (2003, doi 10.1023/A:1024068626366). The interval holds for other labels
and other images, and for these two encoders. The table shows simulated studies, in the worst of up to 20 settings for each row.

- **covered**: the share of studies whose interval contains the true difference, in the setting where it is smallest.
- **covered, uncorrected**: the same without the correction.
- **false**: the share of studies that call a gain or a loss that is not there, or is a smaller one, where it is largest.

A setting has 2 or 10 classes, the distance of the classes' means for either encoder (in units of the noise), and the part of
the noise that both share. Ridge classifiers train on 16 features. The truth is the mean over 200 fresh training sets. Each
setting has {count:,} studies: a share of 95 % has a standard error of 0.7 points, so the smallest of 20 looks too small.
One seed; unlike the real classifiers, these choose nothing on validation images.

{table}

Made on: {machine}.
"""

if __name__ == "__main__":
    main()
