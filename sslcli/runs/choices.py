"""Choices made before a run's first step, as its record keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class Trial(TypedDict):
    """A learning rate that was tried, and its accuracy on the validation images, in [0, 1]."""

    rate: float
    val_acc: float


class Setting(TypedDict):
    """A setting of a method that was tried: its run, what it changed, and kNN accuracy on held-out labels, in [0, 1]."""

    run: str
    options: dict[str, object]
    val_knn: float


class Choices(TypedDict, total=False):
    """Choices made before the first step; a resume keeps them."""

    rate: float
    tried: list[Trial]
    minutes: float
    given: list[str]
    """The options that were given beside `minutes`: it did not set these."""
    settings: list[Setting]


def are_choices(choices: Mapping[str, object]) -> bool:
    """Whether a record's choices have these types, and no negative number."""
    given = choices.get("given", [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return False
    numbers = [choices.get(name, 0.0) for name in ("rate", "minutes")]
    for listed, names in (("tried", ("rate", "val_acc")), ("settings", ("val_knn",))):
        entries = choices.get(listed, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return False
        numbers += [entry.get(name) for entry in entries for name in names]
    return all(isinstance(number, float) and number >= 0 for number in numbers)
