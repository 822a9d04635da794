"""Rank methods by accuracy, the best first, and say which cannot be told from the best. Imports no torch.

Every two methods are compared, over the seeds that both have. The best is chosen by the same numbers, so all these comparisons
count, not only those with the best: n (n - 1) / 2 for n methods. Holm's procedure (1979, Scandinavian Journal of Statistics 6)
limits the probability of any false "better" in a ranking to 5 %, if methods vary about equally over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, variance
from typing import Any

from sslcli.comparison.differences import Pair, but_for_seed, images_of, interval_of, spread
from sslcli.comparison.options_apart import NO_SETTINGS, Settings
from sslcli.evaluation.naming import in_words, listed
from sslcli.evaluation.statistics import TAIL, Difference, SeedSpread
from sslcli.runs.naming import inits_in_words
from sslcli.runs.run import Run

Seeds = Mapping[int | None, Run]
"""The runs of a method and setting, by seed."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A method in a ranking: mean and deviation of its accuracy over seeds (fractions), and its difference from the best.

    `difference`, `low` and `high` are None for the best itself, and for a method without a common seed. `interval` says how
    the interval is computed. `is_worse`: the interval lies below 0, so the method can be told from the best.
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
    """Methods, or encoders (`noun`), that were evaluated in the same way, the best first. The intervals cover 1 - `tail`.

    `apart` has the places in `methods` of every two that can be told apart: the better one, then the worse one. `unseen` has
    those of every two without a common seed, which nothing compares.
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
    apart: tuple[tuple[int, int], ...] = ()
    unseen: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> str:
        """What the methods were measured on, in words."""
        return in_words(self.experiment, self.label_fraction, self.at_epoch, self.protocol)

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


def rankings(chosen: Sequence[Run], setups: dict[str, str | None], settings: Settings = NO_SETTINGS) -> list[Ranking]:
    """A ranking for each kind of evaluation with runs of several methods; others' weights count as a method.

    `setups` are the setups of pretrain runs by id; `settings` distinguish the settings of a method.
    """
    kinds: dict[tuple[str, tuple[Any, ...]], dict[tuple[Any, ...], dict[int | None, Run]]] = {}
    for run in chosen:
        if run.init not in (None, "scratch") and (metric := _metric(run)):
            *alike, init, parent = but_for_seed(run, setups)
            kind = kinds.setdefault((metric, (*alike, run.protocol, images_of(run))), {})
            kind.setdefault((init, parent), {})[run.seed] = run
    several = [
        (metric, list(kind.values()))
        for (metric, _), kind in kinds.items()
        if len({_name(run) for of_seed in kind.values() for run in of_seed.values()}) > 1
    ]
    return [
        rank(candidates, metric, _told_apart([next(iter(runs.values())) for runs in candidates], settings))
        for metric, candidates in several
    ]


def rank(candidates: Sequence[Seeds], metric: str, names: Sequence[str], *, noun: str = "method") -> Ranking:
    """The runs of methods by seed, and the methods' `names`, ranked by mean accuracy; `noun` is what they are."""
    in_order = sorted(zip(candidates, names, strict=True), key=lambda method: -fmean(_accuracies(method[0], metric)))
    ordered = [runs for runs, _ in in_order]
    comparisons = _comparisons(ordered, metric)
    told, tail = _told_by_holm(comparisons)
    first = next(iter(ordered[0].values()))
    return Ranking(
        experiment=first.experiment, protocol=first.protocol, dataset=first.dataset, label_fraction=first.label_fraction,
        at_epoch=first.at_epoch, metric=metric, comparisons=len(comparisons), tail=tail,
        methods=tuple(
            _ranked(name, runs, metric, comparisons.get((0, place)), tail=tail, is_worse=(0, place) in told)
            for place, (runs, name) in enumerate(in_order)
        ),
        noun=noun, apart=tuple(sorted(two for two in told if comparisons[two].interval(tail)[0].high < 0)),
        unseen=tuple(two for two in combinations(range(len(in_order)), 2) if two not in comparisons),
    )  # fmt: skip


@dataclass(frozen=True)
class _Comparison:
    """Two methods: for each common seed the worse one's run and the better one's, and the estimate of their spread."""

    pairs: Sequence[Pair]
    metric: str
    spread: SeedSpread | None

    def interval(self, tail: float) -> tuple[Difference, str]:
        """The worse method minus the better one."""
        return interval_of(self.pairs, self.metric, tail=tail, seed_spread=self.spread)

    def excludes_zero(self, tail: float) -> bool:
        found, _ = self.interval(tail)
        return found.low > 0 or found.high < 0


def _comparisons(ordered: Sequence[Seeds], metric: str) -> dict[tuple[int, int], _Comparison]:
    """All pairs of methods with a common seed, by their ranks.

    Two or three seeds say little about a variance, and Student's t for many comparisons is then useless. So the variance of a
    pair is the larger of its own and twice the mean over all methods, with the degrees of freedom of all.
    """
    of_method = [variance(known) if len(known := _accuracies(runs, metric)) > 1 else 0.0 for runs in ordered]
    freedom = sum(len(runs) - 1 for runs in ordered)
    mean = sum(own * (len(runs) - 1) for own, runs in zip(of_method, ordered, strict=True)) / max(1, freedom)
    found = {}
    for first, second in combinations(range(len(ordered)), 2):
        better, worse = ordered[first], ordered[second]
        if pairs := [(run, better[seed]) for seed, run in worse.items() if seed in better]:
            widest = max(of_method[first] + of_method[second], 2 * mean)
            found[first, second] = _Comparison(pairs, metric, SeedSpread(widest, freedom) if freedom else None)
    return found


def _told_by_holm(comparisons: Mapping[tuple[int, int], _Comparison]) -> tuple[set[tuple[int, int]], float]:
    """The pairs of methods that differ by more than chance, and the tail of the last step, in which the others did not.

    Holm's procedure: each step tests the remaining pairs at TAIL divided by their number, until a step finds nothing.
    """
    told: set[tuple[int, int]] = set()
    while True:
        tail = TAIL / max(1, len(comparisons) - len(told))
        more = {two for two, comparison in comparisons.items() if two not in told and comparison.excludes_zero(tail)}
        if not more:
            return told, tail
        told |= more


def _ranked(name: str, runs: Seeds, metric: str, comparison: _Comparison | None, *, tail: float, is_worse: bool) -> Ranked:
    """A method beside the best; `comparison` is None for the best itself and for a method without a common seed."""
    accuracies = _accuracies(runs, metric)
    value = low = high = kind = None
    if comparison is not None:
        found, kind = comparison.interval(tail)
        value, low, high = found.value, found.low, found.high
    return Ranked(
        method=name, seeds=tuple(runs), mean=fmean(accuracies), sd=spread(accuracies),
        difference=value, low=low, high=high, interval=kind, is_worse=is_worse and (high or 0.0) < 0,
        runs=tuple(run.id for run in runs.values()),
    )  # fmt: skip


def _accuracies(runs: Seeds, metric: str) -> list[float]:
    return [float(run.metrics[metric]) for run in runs.values()]


def _metric(run: Run) -> str:
    return next((key for key in ("test_acc", "best_test_acc") if key in run.metrics), "")


def _name(run: Run) -> str:
    """The method of an evaluation's encoder; for others' weights, which no method here trained, their init."""
    return run.encoder_method if run.encoder_method and run.init == "pretrained" else str(run.init)


def _told_apart(runs: Sequence[Run], settings: Settings) -> list[str]:
    """The names of methods; if one has several settings, with what distinguishes these, else with a run's id."""
    keys = [_name(run) for run in runs]
    of_inits = inits_in_words(keys)
    names = [of_inits[key] for key in keys]
    words = [
        f"{name} ({settings.get(run.id) or run.id})" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]
    return [
        word if words.count(word) == 1 else f"{name} ({run.id})" for word, name, run in zip(words, names, runs, strict=True)
    ]
