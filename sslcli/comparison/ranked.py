"""A ranking of methods, or of encoders: its numbers and its sentence. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sslcli.evaluation.naming import in_words, listed


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A method in a ranking: mean and deviation of its accuracy over seeds (fractions), and its difference from the best.

    `difference`, `low` and `high` are None for the best itself, and for a method without a common seed. `interval` says how
    the interval is computed. `is_worse`: Holm's procedure tells the method from the best. The interval then lies below 0, or
    ends there if only a later step of the procedure tells them apart.
    """

    method: str
    seeds: tuple[int | None, ...]
    mean: float
    sd: float | None
    difference: float | None
    low: float | None
    high: float | None
    interval: str | None
    is_worse: bool
    runs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Methods, or encoders (`noun`), that were evaluated in the same way, the best first.

    Each interval covers 1 - `tail`, which is 5 % divided by the number of comparisons: all together cover 95 %. `setting` has
    what distinguishes this evaluation from another of the same name, `scratch` the ids of the runs from scratch in it. `apart`
    has the places in `methods` of every two that can be told apart: the better one, then the worse one. `unseen` has those of
    every two without a common seed, which nothing compares.
    """

    experiment: str
    protocol: str | None
    dataset: str | None
    label_fraction: float | None
    at_epoch: int | None
    metric: str
    comparisons: int
    tail: float
    methods: tuple[Ranked, ...]
    noun: str = "method"
    setting: str | None = None
    scratch: tuple[str, ...] = ()
    apart: tuple[tuple[int, int], ...] = ()
    unseen: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> str:
        """What the methods were measured on, in words."""
        setting = f" ({self.setting})" * bool(self.setting)
        return in_words(self.experiment, self.label_fraction, self.at_epoch, self.protocol) + setting

    def sentence(self) -> str:
        """The best, and those that cannot be told from it, in words."""
        best, *others = self.methods
        alike = [one.method for one in others if one.difference is not None and not one.is_worse]
        strangers = [one.method for one in others if one.difference is None]
        whole = f"In {self.place} {best.method} has the highest accuracy"
        if alike:
            every = f"no other {self.noun}" if len(alike) == len(others) > 1 else ""
            whole += f"; {every or listed(alike)} {'can' if every else 'cannot'} be told from it"
        elif len(strangers) < len(others):
            whole += f", and is better than every other {self.noun}{' that shares a seed with it' * bool(strangers)}"
        if strangers:
            whole += f"; {listed(strangers)} {'have' if len(strangers) > 1 else 'has'} no seed in common with it"
        return f"{whole}."

    def tells(self, one: str, other: str) -> bool:
        """Whether two methods, by their names, can be told apart."""
        names = [ranked.method for ranked in self.methods]
        first, second = sorted((names.index(one), names.index(other)))
        return (first, second) in self.apart
