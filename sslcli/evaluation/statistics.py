"""How far a difference of accuracies can be told from chance. Imports neither torch nor scipy: comparing must be quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist, fmean, variance

Z95 = NormalDist().inv_cdf(0.975)  # two-sided 95 % quantile of the standard normal


@dataclass(frozen=True)
class Difference:
    """A difference of accuracies (fractions) with its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float


def unpaired(first: float, second: float, images: int) -> Difference:
    """first - second, two accuracies on `images` test images of which is not known which were right.

    Wald's interval for independent counts. Two classifiers that are right on the same images differ more surely than this
    says: it is on the careful side.
    """
    half = Z95 * sqrt(_unpaired_variance(first, second, images))
    return Difference(first - second, first - second - half, first - second + half)


def _unpaired_variance(first: float, second: float, images: int) -> float:
    return (first * (1 - first) + second * (1 - second)) / images


def paired(first: int, second: int, both: int, images: int) -> Difference:
    """The difference of two classifiers that have `first` and `second` of the same images right, `both` of them in common.

    From the images on which they disagree, by the adjusted Wald interval of Agresti and Min (2005, Statistics in
    Medicine 24): half an image more in each of the four cells. It speaks of these two classifiers: other images are
    accounted for, other seeds are not.
    """
    only_first, only_second, total = first - both + 0.5, second - both + 0.5, images + 2
    centre = (only_first - only_second) / total
    half = Z95 * sqrt((only_first + only_second) / total - centre**2) / sqrt(total)
    return Difference((first - second) / images, centre - half, centre + half)


def over_seeds(differences: Sequence[float], image_variance: float) -> Difference:
    """The mean of the differences of several seeds, over other seeds and other images alike.

    The half width is the root of two squares: Student's t times the standard error over the seeds, and the normal quantile
    times the root of the variance over images that all seeds share. (The variances are those of several readers of the
    same cases, Obuchowski and Rockette 1995, with seeds for readers. One t for their sum with Satterthwaite's degrees of
    freedom covers too little with few seeds, since both are small by the same chance: in simulated studies 87 to 93 %
    with two and 92 to 95 % with three; this covers 94 to 98 %.)
    """
    mean, seeds = fmean(differences), len(differences)
    half = sqrt(t_quantile(seeds - 1) ** 2 * variance(differences) / seeds + Z95**2 * max(0.0, image_variance))
    return Difference(mean, mean - half, mean + half)


def shared_variance(covariances: Sequence[float], images: int) -> float:
    """The variance of a mean over images that all seeds share: the mean covariance of two seeds' differences, per image."""
    return fmean(covariances) / images


def t_quantile(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's t, its degrees of freedom any number from 1, to nine digits.

    By bisection; from 200 degrees on by the expansion about the normal (Abramowitz and Stegun 26.7.5).
    """
    if freedom > 200:
        z = Z95
        terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
        return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
    low, high = 1.9, 13.0  # at infinity 1.96, at one degree 12.7
    while high - low > 1e-10:
        middle = (low + high) / 2
        if _tails(middle, freedom) > 0.05:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _tails(t: float, freedom: float) -> float:
    """The probability of more than t on either side: the incomplete beta function at df / (df + t^2), by its series."""
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    term = total = 1.0
    n = 0
    while term > 1e-14 * total:
        n += 1
        term *= (a + b + n - 1) / (a + n) * x
        total += term
    return front * total
