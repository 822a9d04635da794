"""Rank methods by accuracy, the best first, and say which cannot be told from the best. Imports no torch.

Every two methods are compared, over the seeds that both have. The best is chosen by the same numbers, so all these comparisons
count, not only those with the best: n (n - 1) / 2 for n methods. Holm's procedure (1979, Scandinavian Journal of Statistics 6)
limits the probability of any false "better" in a ranking to 5 %, if methods vary about equally over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, variance
from typing import Any

from sslcli.comparison.differences import Pair, but_for_seed, images_of, interval_of, spread
from sslcli.comparison.options_apart import NO_SETTINGS, Settings
from sslcli.comparison.ranked import Ranked, Ranking
from sslcli.evaluation.statistics import TAIL, Difference, SeedSpread
from sslcli.runs.naming import inits_in_words
from sslcli.runs.run import Run

Seeds = Mapping[int | None, Run]
"""The runs of a method and setting, by seed."""


def rankings(chosen: Sequence[Run], setups: dict[str, str | None], settings: Settings = NO_SETTINGS) -> list[Ranking]:
    """A ranking for each kind of evaluation with runs of several methods; others' weights count as a method.

    `setups` are the setups of pretrain runs by id; `settings` distinguish the settings of a method.
    """
    kinds: dict[tuple[str, tuple[Any, ...]], dict[tuple[Any, ...], dict[int | None, Run]]] = {}
    scratch: dict[tuple[str, tuple[Any, ...]], list[str]] = {}
    for run in chosen:
        if run.init and (metric := _metric(run)):
            *alike, init, parent = but_for_seed(run, setups)
            kind = metric, (*alike, run.protocol, images_of(run))
            if run.init == "scratch":
                scratch.setdefault(kind, []).append(run.id)
            else:
                kinds.setdefault(kind, {}).setdefault((init, parent), {})[run.seed] = run
    found = []
    for kind, methods in kinds.items():
        candidates = list(methods.values())
        if len({_name(run) for of_seed in candidates for run in of_seed.values()}) > 1:
            names = _told_apart([next(iter(runs.values())) for runs in candidates], settings)
            found.append(replace(rank(candidates, kind[0], names), scratch=tuple(scratch.get(kind, ()))))
    return with_settings(found, settings)


def with_settings(found: Sequence[Ranking], settings: Settings) -> list[Ranking]:
    """The rankings, those of one name distinguished by their data sets and by the options that only their runs share."""
    alike: dict[str, list[Ranking]] = {}
    for ranking in found:
        alike.setdefault(ranking.place, []).append(ranking)
    return [replace(ranking, setting=_setting(ranking, alike[ranking.place], settings)) for ranking in found]


def _setting(ranking: Ranking, alike: Sequence[Ranking], settings: Settings) -> str | None:
    """What distinguishes a ranking from the others of its name, itself among them; None if nothing on record does."""
    if len(alike) == 1:
        return None
    of_runs = [settings.get(run, "").split(", ") for one in ranking.methods for run in one.runs]
    shared = [words for words in of_runs[0] if words and all(words in others for others in of_runs)]
    datasets = [str(ranking.dataset)] if len({one.dataset for one in alike}) > 1 else []
    return ", ".join(datasets + shared) or None


def rank(candidates: Sequence[Seeds], metric: str, names: Sequence[str], *, noun: str = "method") -> Ranking:
    """The runs of methods by seed, and the methods' `names`, ranked by mean accuracy; `noun` is what they are."""
    in_order = sorted(zip(candidates, names, strict=True), key=lambda method: -fmean(_accuracies(method[0], metric)))
    ordered = [runs for runs, _ in in_order]
    comparisons = _comparisons(ordered, metric)
    told, tail = _told_by_holm(comparisons), TAIL / max(1, len(comparisons))
    first = next(iter(ordered[0].values()))
    return Ranking(
        experiment=first.experiment, protocol=first.protocol, dataset=first.dataset, label_fraction=first.label_fraction,
        at_epoch=first.at_epoch, metric=metric, comparisons=len(comparisons), tail=tail,
        methods=tuple(
            _ranked(name, runs, metric, comparisons.get((0, place)), tail=tail, is_told=(0, place) in told)
            for place, (runs, name) in enumerate(in_order)
        ),
        noun=noun, apart=tuple(sorted(two for two in told if comparisons[two].interval(tail)[0].value < 0)),
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


class SharedSpread:
    """The variance of two methods' difference over seeds, from the accuracies of all methods of a ranking.

    Two or three seeds say little about a variance, and Student's t for many comparisons is then useless. So the variance of a
    pair is the larger of its own and twice the mean over all methods, with the degrees of freedom of all.
    """

    def __init__(self, methods: Sequence[Seeds], metric: str) -> None:
        self._of_method = [variance(known) if len(known := _accuracies(runs, metric)) > 1 else 0.0 for runs in methods]
        self._freedom = sum(len(runs) - 1 for runs in methods)
        weighted = (own * (len(runs) - 1) for own, runs in zip(self._of_method, methods, strict=True))
        self._mean = sum(weighted) / max(1, self._freedom)

    def between(self, first: int, second: int) -> SeedSpread | None:
        """That of two methods, by their places; None if no method has two seeds."""
        widest = max(self._of_method[first] + self._of_method[second], 2 * self._mean)
        return SeedSpread(widest, self._freedom) if self._freedom else None


def _comparisons(ordered: Sequence[Seeds], metric: str) -> dict[tuple[int, int], _Comparison]:
    """All pairs of methods with a common seed, by their ranks."""
    shared, found = SharedSpread(ordered, metric), {}
    for first, second in combinations(range(len(ordered)), 2):
        better, worse = ordered[first], ordered[second]
        if pairs := [(run, better[seed]) for seed, run in worse.items() if seed in better]:
            found[first, second] = _Comparison(pairs, metric, shared.between(first, second))
    return found


def _told_by_holm(comparisons: Mapping[tuple[int, int], _Comparison]) -> set[tuple[int, int]]:
    """The pairs of methods that differ by more than chance.

    Holm's procedure: each step tests the remaining pairs at TAIL divided by their number, until a step finds nothing.
    """
    told: set[tuple[int, int]] = set()
    while True:
        tail = TAIL / max(1, len(comparisons) - len(told))
        more = {two for two, comparison in comparisons.items() if two not in told and comparison.excludes_zero(tail)}
        if not more:
            return told
        told |= more


def _ranked(name: str, runs: Seeds, metric: str, comparison: _Comparison | None, *, tail: float, is_told: bool) -> Ranked:
    """A method beside the best; `comparison` is None for the best itself and for a method without a common seed."""
    accuracies = _accuracies(runs, metric)
    value = low = high = kind = None
    if comparison is not None:
        found, kind = comparison.interval(tail)
        value, low, high = found.value, found.low, found.high
        if is_told:  # by a later step of Holm's procedure, perhaps, whose intervals were narrower
            low, high = (low, min(high, 0.0)) if value < 0 else (max(low, 0.0), high)
    return Ranked(
        method=name, seeds=tuple(runs), mean=fmean(accuracies), sd=spread(accuracies),
        difference=value, low=low, high=high, interval=kind, is_worse=is_told and (value or 0.0) < 0,
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
