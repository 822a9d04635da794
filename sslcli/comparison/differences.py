"""Pretrained (here or by others) minus scratch: which runs are partners, and their differences. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.statistics import TAIL, Difference, InitDifference, SeedSpread, Terms, over_seeds, unpaired
from sslcli.runs.run import Run

Pair = tuple[Run, Run]
"""A run pretrained here or by others, and the scratch run whose options differ only in init."""

INTERVALS = {
    "paired": "over test images, paired; one seed",
    "unpaired": "over test images, unpaired; one seed",
    "seeds": "over seeds and test images",
    "seeds, unpaired": "over seeds and test images, unpaired",
    "folds": "over all labelled images in folds, paired; one seed",
    "folds, unpaired": "over all labelled images in folds, unpaired; one seed",
    "seeds, folds": "over seeds and all labelled images in folds",
    "seeds, folds, unpaired": "over seeds and all labelled images in folds, unpaired",
}
"""How a difference's interval is computed, in words. Unpaired, and so wider, if it is unknown which images were right."""


def pair_up(runs: list[Run]) -> tuple[list[Pair], list[Run]]:
    """Runs pretrained here or by others with their scratch partners, and the runs of either kind without a partner.

    The options of partners differ only in init. The two runs of a pair have an accuracy of the same kind, and the same number
    of test images.
    """
    scratch = {run.pair: run for run in runs if run.init == "scratch" and run.pair}
    pairs = [(run, scratch[run.pair]) for run in runs if run.init not in (None, "scratch") and run.pair in scratch]
    pairs = [pair for pair in pairs if _metric([pair]) and images_of(pair[0]) == images_of(pair[1])]
    paired_ids = {run.id for pair in pairs for run in pair}
    return pairs, [run for run in runs if run.id not in paired_ids]


def but_for_seed(run: Run, setups: dict[str, str | None]) -> tuple[Any, ...]:
    """A key that is equal for runs that differ only in the seed; `setups` are the setups of pretrain runs by id."""
    parent = run.parent and (setups.get(run.parent) or run.parent)
    return run.experiment, run.dataset, run.label_fraction, run.at_epoch, run.setup or run.pair or run.id, run.init, parent


def over_settings(pairs: list[Pair], setups: dict[str, str | None]) -> list[list[Pair]]:
    """Pairs that differ only in the seed, grouped, by seed; the newest pair of each seed."""
    groups: dict[tuple[Any, ...], dict[int | None, Pair]] = {}
    for pair in pairs:
        groups.setdefault((*but_for_seed(pair[0], setups), _metric([pair])), {})[pair[0].seed] = pair
    return [[group[seed] for seed in sorted(group, key=lambda seed: seed or 0)] for group in groups.values()]


def difference_of(pairs: Sequence[Pair], setting: str | None = None) -> InitDifference:
    """Pretrained minus scratch, with one pair for each seed, and the 95 % interval.

    For the test accuracy at the epoch that validation chose; if one run has none, for the best over epochs.
    """
    first, last = pairs[0]
    metric = _metric(pairs)
    columns = [[pair[side].metrics[metric] for pair in pairs] for side in (0, 1)]
    best: list[Any] = [[pair[side].metrics.get("best_test_acc") for pair in pairs] for side in (0, 1)]
    found, kind = interval_of(pairs, metric)
    return InitDifference(
        experiment=first.experiment, protocol=first.protocol, init=first.init, method=first.encoder_method,
        dataset=first.dataset,
        label_fraction=first.label_fraction, at_epoch=first.at_epoch, metric=metric,
        seed=first.seed, seeds=[pair[0].seed for pair in pairs],
        pretrained=fmean(columns[0]), scratch=fmean(columns[1]), difference=found.value,
        low=found.low, high=found.high, interval=kind,
        pretrained_sd=spread(columns[0]), scratch_sd=spread(columns[1]),
        difference_sd=spread([a - b for a, b in zip(*columns, strict=True)]),
        best_test_difference=None if None in best[0] + best[1] else fmean(best[0]) - fmean(best[1]),
        pretrained_run=first.id, scratch_run=last.id,
        pretrained_runs=[pair[0].id for pair in pairs], scratch_runs=[pair[1].id for pair in pairs],
        setting=setting,
    )  # fmt: skip


def _metric(pairs: Sequence[Pair]) -> str:
    """The accuracy that all runs have: at the epoch that validation chose, or the best over epochs; "" if none."""
    runs = [run for pair in pairs for run in pair]
    return next((key for key in ("test_acc", "best_test_acc") if all(key in run.metrics for run in runs)), "")


def metric_of(run: Run) -> str:
    """The accuracy that a run has: at the epoch that validation chose, or the best over epochs; "" if none."""
    return _metric([(run, run)])


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation over seeds; None for one seed."""
    return stdev(values) if len(values) > 1 else None


def interval_of(
    pairs: Sequence[Pair], metric: str, *, tail: float = TAIL, seed_spread: SeedSpread | None = None
) -> tuple[Difference, str]:
    """The mean of first minus second, with one pair for each seed, and how its interval is computed, a key of INTERVALS.

    `tail` is the probability outside of the interval, `seed_spread` an estimate of the variance over seeds from other runs.
    """
    images, several = images_of(pairs[0][0]), len(pairs) > 1
    first, second = ([pair[side].metrics[metric] for pair in pairs] for side in (0, 1))
    known = pairs if metric == "test_acc" else []  # counts are not kept for the best over epochs
    twos = list(combinations(known, 2))
    disagreements = [share for pair in known if (share := _disagreement(pair)) is not None]
    products = [mean for two in twos if (mean := _product(*two)) is not None]
    terms = Terms(tail=tail, spread=seed_spread, folds=folds_of(pairs[0][0]))
    words = ["seeds"] * several + ["folds"] * (terms.folds is not None)
    if len(disagreements) < len(pairs) or len(products) < len(twos):
        kind = ", ".join([*words, "unpaired"])
        return unpaired(first, second, images, terms=terms), kind
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return over_seeds(differences, disagreements, products, images, terms=terms), ", ".join(words) or "paired"


def _disagreement(pair: Pair) -> float | None:
    """The fraction of images that exactly one of the two has right; None if that was not kept."""
    both = both_right(*pair)
    return None if both is None else (sum(map(_right, pair)) - 2 * both) / images_of(pair[0])


def _product(first: Pair, second: Pair) -> float | None:
    """The mean over images of the product of two seeds' differences, each 1 if only pretrained is right, -1 if only scratch."""
    crossed = [both_right(a, b) for a in first for b in second]
    if None in crossed:
        return None
    counts = [count or 0 for count in crossed]
    return (counts[0] - counts[1] - counts[2] + counts[3]) / images_of(first[0])


def both_right(first: Run, second: Run) -> int | None:
    """The number of test images that both have right; None if it was not kept, their numbers differ, or it is impossible."""
    count: Any = first.both_right.get(second.id, second.both_right.get(first.id))
    if count is None or (images := images_of(first)) != images_of(second):
        return None
    rights = [_right(first), _right(second)]
    return int(count) if max(0, sum(rights) - images) <= count <= min(rights) else None


def _right(run: Run) -> int:
    """The number of test images that a run has right."""
    return round(float(run.metrics["test_acc"]) * images_of(run))


def images_of(run: Run) -> int:
    """The number of test images of a run."""
    return int(run.metrics.get("test_images", 10_000))


def folds_of(run: Run) -> int | None:
    """The folds in which all labelled images were tested, if a run's metrics are of these; None if of the test images."""
    return int(run.metrics["folds"]) if run.metrics.get("folds") else None


def in_order(run: Run) -> tuple[Any, ...]:
    """Sort key of evaluations: protocol, labels from all to few, data set, pair, pretrained first, seed.

    Encoders from elsewhere, which may have another network, come after all pairs.
    """
    protocols, inits = list(PROTOCOLS), {"pretrained": 0, "scratch": 1}
    protocol = protocols.index(run.protocol) if run.protocol in protocols else len(protocols)
    return (protocol, -(run.label_fraction or 1), run.dataset or "", run.at_epoch or 0, (run.init or "") not in ("", *inits),
            run.setup or run.pair or "", inits.get(run.init or "", 2), run.seed or 0)  # fmt: skip
