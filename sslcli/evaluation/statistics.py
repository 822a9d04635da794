"""How far a difference of two accuracies can be told from chance. Imports no torch."""

from __future__ import annotations

from math import sqrt

Z95 = 1.959964  # two-sided 95 % quantile of the standard normal


def difference_interval(first: float, second: float, images: int) -> tuple[float, float]:
    """The 95 % interval of first - second, two accuracies (fractions) on the same number of test images.

    Wald's interval for independent counts. Two classifiers that are right on the same images differ more surely than
    this says: it is on the careful side. It speaks of these two trainings; other seeds would vary more.
    """
    half = Z95 * sqrt((first * (1 - first) + second * (1 - second)) / images)
    return first - second - half, first - second + half
