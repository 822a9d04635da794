"""What do the 95 % intervals cover, and how often is chance called a gain? `python -m tests.benchmarks.intervals` simulates it.

A network has an image right where the sum of its skill, the image's difficulty, what its init makes of the image, and its own
noise is above 0; all are normal, the noise has deviation 1. The truth is the difference of the expected
accuracies: for one seed of the two networks at hand, for several of all seeds. For each number of seeds and images the
worst settings are simulated anew with more studies, and those figures count: the worst of many is worse than it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sslcli.evaluation.statistics import Difference, over_seeds, unpaired
from tests.benchmarks import machine, options_of_simulation
from tests.benchmarks.folds import MARKER

SEEDS, IMAGES = (1, 2, 3, 4, 5), (20, 60, 200, 1000, 10_000)
ACCURACIES = (
    (0.0, 0.0), (0.02, 0.0), (0.02, 0.02), (0.1, 0.1), (0.3, 0.1), (0.5, 0.5), (0.6, 0.5), (0.9, 0.5), (0.9, 0.9),
    (0.95, 0.9), (0.98, 0.98), (0.995, 0.98), (1.0, 0.98), (1.0, 0.9), (1.0, 0.0),
)  # fmt: skip
"""Expected accuracies of pretrained and scratch."""
DEVIATIONS = ((0, 0, 0), (0, 0, 0.1), (1, 0, 0.2), (1.2, 0.5, 0.08), (3, 0, 0), (3, 2, 0.1), (10, 0, 0), (10, 10, 0))
"""Of the images' difficulty, of what an init makes of each, and of seeds' skill. At half of the images right 0.1 of skill is 2
to 4 points of accuracy. (10, 0, 0): all networks are right on nearly the same images; (10, 10, 0): all of one init are."""
NORMAL = NormalDist()
WORST = 3  # settings that are simulated anew


@dataclass(frozen=True)
class Setting:
    """A kind of study."""

    seeds: int
    images: int
    accuracies: tuple[float, float]
    deviations: tuple[float, float, float]

    @property
    def is_null(self) -> bool:
        """Whether there is no effect, in the mean over seeds."""
        return self.accuracies[0] == self.accuracies[1]


class Found(NamedTuple):
    """Shares of the studies: whose interval holds the truth, and which call a difference where there is none (else 0)."""

    covered: float
    false: float
    unpaired_covered: float


def skill(accuracy: float, spread: float) -> float:
    """The mean skill that gives this expected accuracy where all else has this deviation."""
    if accuracy in (0, 1):
        return 1e3 if accuracy else -1e3
    return spread * NORMAL.inv_cdf(accuracy)


def studies(setting: Setting, count: int, random: np.random.Generator) -> Iterator[tuple[Difference, Difference, float]]:
    """What is said of simulated studies, from which images are right and from the accuracies alone; and the truth of each."""
    of_image, of_init, of_seed = setting.deviations
    fixed = sqrt(1 + of_image**2 + of_init**2)
    means = np.array([skill(accuracy, sqrt(fixed**2 + of_seed**2)) for accuracy in setting.accuracies], np.float32)
    shape, left = (setting.seeds, 2, setting.images), count
    while left:
        now = min(left, max(1, 2_000_000 // int(np.prod(shape))))
        left -= now
        skills = means + of_seed * random.standard_normal((now, setting.seeds, 2), np.float32)
        image = of_image * random.standard_normal((now, 1, 1, setting.images), np.float32)
        init = of_init * random.standard_normal((now, 1, 2, setting.images), np.float32)
        right = skills[..., None] + image + init + random.standard_normal((now, *shape), np.float32) > 0
        for said, without, of_first in zip(*intervals(right), skills[:, 0].tolist(), strict=True):
            true = [NORMAL.cdf(value / fixed) for value in of_first] if setting.seeds == 1 else setting.accuracies
            yield said, without, true[0] - true[1]


def intervals(right: NDArray[np.bool_]) -> tuple[list[Difference], list[Difference]]:
    """What is said of studies, from which images (studies, seeds, 2, images) are right, and from the accuracies alone."""
    _, seeds, _, images = right.shape
    each = right[:, :, 0].astype(np.float32) - right[:, :, 1]
    products = np.matmul(each, each.transpose(0, 2, 1)).astype(np.float64) / images
    accuracies = right.mean(3)
    pairs, own = products[:, *np.tril_indices(seeds, -1)], products[:, range(seeds), range(seeds)]
    known = zip((accuracies[..., 0] - accuracies[..., 1]).tolist(), own.tolist(), pairs.tolist(), strict=True)
    columns = zip(accuracies[..., 0].tolist(), accuracies[..., 1].tolist(), strict=True)
    return [over_seeds(*one, images) for one in known], [unpaired(*one, images) for one in columns]


def simulate(setting: Setting, count: int, seed: int) -> Found:
    """The shares over so many studies of a setting."""
    random = np.random.default_rng([seed, *(round(1000 * value) for value in setting.accuracies), setting.seeds])
    covered = false = loose = 0
    for said, without, truth in studies(setting, count, random):
        covered += said.low - 1e-9 <= truth <= said.high + 1e-9
        loose += without.low - 1e-9 <= truth <= without.high + 1e-9
        false += setting.is_null and ((said.low > 0 and truth <= 1e-9) or (said.high < 0 and truth >= -1e-9))
    return Found(covered / count, false / count, loose / count)


def worst_of(seeds: int, images: int, *, first: int, again: int) -> tuple[Found, Setting, Setting]:
    """The least covered and the most false of all settings with so many seeds and images, and where they are found."""
    settings = [Setting(seeds, images, *chosen) for chosen in product(ACCURACIES, DEVIATIONS)]
    seen = {setting: simulate(setting, first, 0) for setting in settings}
    least = sorted(settings, key=lambda setting: seen[setting].covered)[:WORST]
    most = sorted(settings, key=lambda setting: -seen[setting].false)[:WORST]
    loose = sorted(settings, key=lambda setting: seen[setting].unpaired_covered)[:WORST]
    exact = {setting: simulate(setting, again, 1) for setting in dict.fromkeys([*least, *most, *loose])}
    low, high = min(least, key=lambda s: exact[s].covered), max(most, key=lambda s: exact[s].false)
    found = Found(exact[low].covered, exact[high].false, min(exact[s].unpaired_covered for s in loose))
    return found, low, high


def table(first: int, again: int) -> list[str]:
    """The lines of the page's table, each printed to stderr as it is made."""
    lines = ["| seeds | images | covered | false | covered, unpaired | least covered at | most false at |"]
    lines.append("|--:|--:|--:|--:|--:|---|---|")
    for seeds, images in product(SEEDS, IMAGES):
        fewer = 1 if images < max(IMAGES) else 4
        found, low, high = worst_of(seeds, images, first=first // fewer, again=again // fewer)
        figures = f"{found.covered:.1%} | {found.false:.1%} | {found.unpaired_covered:.1%}"
        lines.append(f"| {seeds} | {images:,} | {figures} | {_words(low)} | {_words(high)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def _words(setting: Setting) -> str:
    deviations = ", ".join(f"{value:g}" for value in setting.deviations)
    return f"{setting.accuracies[0]:.1%} against {setting.accuracies[1]:.1%}; {deviations}"


def main() -> None:
    """Simulate the grid and print the table, or write the page."""
    chosen = options_of_simulation(
        __doc__,
        studies=(1000, "studies of each setting in the first pass"),
        again=(20_000, "studies of each of the worst settings"),
    )
    lines = table(chosen.studies, chosen.again)
    page = PAGE.format(table="\n".join(lines), machine=machine("tests.benchmarks.intervals"), again=chosen.again)
    if chosen.write:
        _, marker, rest = chosen.write.read_text(encoding="utf-8").partition(MARKER)
        chosen.write.write_text(page + f"\n{marker}{rest}" * bool(marker), encoding="utf-8")
    else:
        print(page)


PAGE = """# What the intervals cover

`ssl compare` gives each difference a 95 % interval, and calls it a gain or a loss only if the interval excludes 0. This page
shows how often that is right in simulated studies, for each number of seeds and test images, in the worst of 120 settings.

- **covered**: the share of studies whose interval contains the true difference, in the setting where it is smallest.
- **false**: the share of studies without an effect that are called a gain or a loss, in the setting where it is largest.
- **covered, unpaired**: the same as covered, if only accuracies are known, not which images were right.

A setting combines the expected accuracies of pretrained and scratch, from 0 to 100 %, with three deviations: of the images'
difficulty, of the effect of an init on each image, and of the seeds' skill, in units of the noise of one network on one
image. So networks range from independent guesses to ones that are right on the same images. The three worst settings
of each row were simulated again with {again:,} studies (a quarter of that for 10,000 images), and the table shows those.
A share of 5 % then has a standard error of 0.15 points (0.3 for 10,000 images): one just below 5 % may be shown as 5.3 %. For
one seed the share can be computed exactly, and with 10,000 images and no effect it is 4.9 % at most (a test).

With one seed the true difference is that of the two networks at hand; with several it is that of all seeds.

{table}

Made on: {machine}.
"""

if __name__ == "__main__":
    main()
