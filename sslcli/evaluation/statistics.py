"""Intervals for differences of accuracies. Imports neither torch nor scipy: comparing must be fast.

Every interval is at least as wide as the test images alone require: Bonett and Price's for paired proportions (2012, Statistics
in Medicine 31), with Student's quantile instead of the normal one and a continuity correction of one image. In simulations over
a grid of seeds, images, accuracies and correlations, at least 93 % of the intervals cover the truth, and at most 5 % of studies
without an effect are called a gain or a loss: docs/intervals.md, made by python -m tests.benchmarks.intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist, fmean, variance

TAIL = 0.05  # the probability outside of a 95 % interval
DISAGREEMENT = 0.3  # of two classifiers, assumed before there are any


@dataclass(frozen=True)
class Difference:
    """A difference of accuracies (fractions) with its interval from `low` to `high`, all in [-1, 1]; 95 % by default."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class InitDifference:
    """The effect of pretraining (here or by others) in one setting: accuracies (fractions) and their mean difference.

    `low` and `high` are the difference's 95 % interval, and `interval` says how it is computed. `_sd` are deviations over
    seeds, None for one seed. `setting` distinguishes it from others of its protocol, in words.
    """

    experiment: str
    protocol: str | None
    init: str | None
    method: str | None
    dataset: str | None
    label_fraction: float | None
    at_epoch: int | None
    metric: str
    seed: int | None
    seeds: list[int | None]
    pretrained: float
    scratch: float
    difference: float
    low: float
    high: float
    interval: str
    pretrained_sd: float | None
    scratch_sd: float | None
    difference_sd: float | None
    best_test_difference: float | None
    pretrained_run: str
    scratch_run: str
    pretrained_runs: list[str]
    scratch_runs: list[str]
    setting: str | None = None

    @property
    def verdict(self) -> str:
        """gain, loss, or chance if the interval contains 0."""
        return verdict_of(self.low, self.high)


def verdict_of(low: float, high: float) -> str:
    """What an interval of a difference shows: gain, loss, or chance if it contains 0."""
    return "gain" if low > 0 else "loss" if high < 0 else "chance"


@dataclass(frozen=True)
class SeedSpread:
    """The variance of differences over seeds, estimated from more runs than a difference's own, and its degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How an interval is made: the probability `tail` outside of it, and the `spread` over seeds of more runs, if it is known.

    With `folds` each image was tested once, by classifiers that were trained on the other folds; see `overlap`.
    """

    tail: float = TAIL
    spread: SeedSpread | None = None
    folds: int | None = None


USUAL = Terms()


def paired(first: int, second: int, both: int, images: int) -> Difference:
    """The difference of two classifiers that have `first` and `second` of the same images right, and `both` in common.

    It holds for these two classifiers: it accounts for other images, but not for other seeds.
    """
    return paired_scores((first - second) / images, (first + second - 2 * both) / images, images)


def paired_scores(mean: float, square: float, images: int) -> Difference:
    """The interval of `paired` for scores from 0 to 1 that may lie between right and wrong.

    `mean` and `square` are the mean over images of the difference of two scores, and of its square.
    """
    return over_seeds([mean], [square], [], images)


def over_seeds(
    differences: Sequence[float],
    disagreements: Sequence[float],
    products: Sequence[float],
    images: int,
    *,
    terms: Terms = USUAL,
) -> Difference:
    """The mean difference of some seeds, with an interval for other images and, if there are several seeds, for other seeds.

    For each seed, `disagreements` is the fraction of images on which its two classifiers disagree. For every two seeds,
    `products` is the mean over images of the product of their differences (1: only pretrained right, -1: only scratch, else 0).
    """
    mean, seeds = fmean(differences), len(differences)
    square = (sum(disagreements) + 2 * sum(products)) / seeds**2  # of the difference on an image, averaged over the seeds
    shared = of_one = _smoothed(square, mean, images)
    if seeds > 1:
        shared = fmean(products) - (sum(differences) ** 2 - sum(d * d for d in differences)) / (seeds * (seeds - 1))
    return _interval(mean, images, of_one, differences, shared, terms)


def unpaired(first: Sequence[float], second: Sequence[float], images: int, *, terms: Terms = USUAL) -> Difference:
    """The mean of first - second, accuracies of some seeds on `images` test images, if it is unknown which were right.

    As for independent counts (Agresti and Caffo 2000, The American Statistician 54). This is conservative if both classifiers
    are right on the same images.
    """
    means, differences = (fmean(first), fmean(second)), [a - b for a, b in zip(first, second, strict=True)]
    smoothed = [(images * mean + 1) / (images + 2) for mean in means]
    variance_of_one = sum(p * (1 - p) for p in smoothed)
    return _interval(means[0] - means[1], images, variance_of_one, differences, variance_of_one, terms)


def overlap(folds: int | None) -> float:
    """By how much the variance over images grows in K folds, whose classifiers share most of their training images.

    1 + K / (K - 1), Nadeau and Bengio's correction (2003, Machine Learning 52, doi 10.1023/A:1024068626366): the variance of a
    mean over K tests is (1/K + n/N) times that of one test, not 1/K, with n images to test and N to train. 1 without folds.
    In simulated studies at least 97 % of these intervals cover the truth: docs/intervals.md, python -m tests.benchmarks.folds.
    """
    return 1.0 if folds is None else 1 + folds / (folds - 1)


def share_interval(count: int, images: int, *, folds: int | None = None) -> tuple[float, float]:
    """The 95 % interval of the fraction `count` / `images` (Wilson 1927, JASA 22); in folds, as of fewer images (`overlap`)."""
    share, n, z = count / images, images / overlap(folds), NormalDist().inv_cdf(1 - TAIL / 2)
    centre, half = share + z * z / (2 * n), z * sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def expected_half(images: int, *, folds: int | None = None, disagreement: float = DISAGREEMENT) -> float:
    """Half the width of a difference's 95 % interval if the two classifiers disagree on this fraction of the images."""
    found = over_seeds([0.0], [disagreement], [], images, terms=Terms(folds=folds))
    return found.high


def images_for(half: float) -> int:
    """The least number of test images for which `expected_half` is at most this."""
    low, high = 0, 1
    while expected_half(high) > half:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if expected_half(middle) > half else (low, middle)
    return high


def _smoothed(square: float, mean: float, images: int) -> float:
    """The variance over images of a difference with this mean and mean square, with one more image of 1 and one of -1."""
    more = images + 2
    return max(0.0, (images * square + 2) / more - (images * mean / more) ** 2)


def _interval(
    mean: float, images: int, variance_of_one: float, differences: Sequence[float], shared: float, terms: Terms
) -> Difference:
    """The interval around a mean difference, from its variance over images and, with several seeds, over seeds.

    One seed: Student's quantile times the standard error over images. Several: the larger of this and the root of two squares,
    Student's t times the standard error over seeds, and the quantile times that over the images that all seeds share, where
    `shared` is the covariance of two seeds. (The variances are those of several readers of the same cases, Obuchowski and
    Rockette 1995, with seeds as readers. A single t with Satterthwaite's degrees of freedom covers too little with few seeds,
    because both variances are small by the same chance.) A `spread` over seeds from more runs has its own degrees of freedom;
    if the differences vary more than it says, their own variance counts.
    """
    seeds, more, tail, spread = len(differences), images + 2, terms.tail, terms.spread
    variance_of_one, shared = overlap(terms.folds) * variance_of_one, overlap(terms.folds) * shared
    quantile = t_quantile(max(1, images - 1), tail)
    half = quantile * sqrt(variance_of_one / more)
    if seeds > 1 or spread is not None:
        freedom = seeds - 1 if spread is None else spread.freedom
        own = variance(differences) if seeds > 1 else 0.0
        over = t_quantile(freedom, tail) * sqrt(max(own, spread.variance if spread else 0.0) / seeds)
        half = max(half, sqrt(over**2 + quantile**2 * max(0.0, shared) / images))
    centre, half = images * mean / more, half + 1 / more
    return Difference(mean, max(-1.0, centre - half), min(1.0, centre + half))


@cache
def t_quantile(freedom: float, tail: float = TAIL) -> float:
    """The value that |t| exceeds with probability `tail`, at most 0.05; degrees of freedom from 1 on.

    To nine digits for 95 %. By bisection; from 200 degrees on by an expansion around the normal (Abramowitz and Stegun 26.7.5).
    """
    if freedom > 200:
        z = NormalDist().inv_cdf(1 - tail / 2)
        terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
        return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
    low, high = 1.9, 13.0  # for 95 %: 1.96 at infinity, 12.7 at one degree
    while _tails(high, freedom) > tail:
        high *= 2
    while high - low > 1e-10 * max(1.0, high / 13):
        middle = (low + high) / 2
        if _tails(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _tails(t: float, freedom: float) -> float:
    """The probability of |T| > t: the incomplete beta function at df / (df + t^2), by its series."""
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    term = total = 1.0
    n = 0
    while term > 1e-14 * total:
        n += 1
        term *= (a + b + n - 1) / (a + n) * x
        total += term
    return front * total
