"""Which runs may be compared, and what their difference is made of: on runs made up for it, against the formula."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from sslcli.comparison.answer import answer
from sslcli.comparison.comparison import choose, newest
from sslcli.comparison.differences import both_right, difference_of, over_settings, pair_up
from sslcli.options.pairing import pair_key
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

OPTIONS = {"dataset": "shapes", "backbone": "resnet9", "epochs": 3, "lr": 0.1, "seed": 1, "label_fraction": 1.0, "k": 10}
IMAGES = 200


def test_runs_are_a_pair_where_they_differ_in_init_and_where_things_are_alone() -> None:
    key = pair_key("linear_eval", OPTIONS, "f")
    elsewhere = {"init": "scratch", "encoder": "latest", "name": "x", "data_dir": "/d", "device": "cuda", "download": True}
    assert pair_key("linear_eval", OPTIONS | elsewhere, "f") == key
    for name in OPTIONS:
        assert pair_key("linear_eval", OPTIONS | {name: "another"}, "f") != key, name
    assert pair_key("finetune", OPTIONS, "f") != key
    assert pair_key("linear_eval", OPTIONS, "other data") != key


def test_a_setup_is_equal_for_other_seeds_and_for_nothing_else() -> None:
    setup = pair_key("linear_eval", OPTIONS, "f", but=("seed",))
    assert pair_key("linear_eval", OPTIONS | {"seed": 2}, "f", but=("seed",)) == setup
    assert pair_key("linear_eval", OPTIONS | {"epochs": 4}, "f", but=("seed",)) != setup


def run_of(init: str, seed: int, right: np.ndarray, **known: Any) -> Run:
    values = {"pair": f"p{seed}", "setup": "s", "dataset": "shapes", "label_fraction": 1.0, "protocol": "linear", **known}
    run = Run(id=f"{init}-{seed}", experiment="linear_eval", status="finished", init=init, seed=seed, **values)
    run.metrics = {"test_acc": float(right.mean()), "test_images": len(right)}
    return run


def study(seeds: int) -> tuple[list[tuple[Run, Run]], list[tuple[np.ndarray, np.ndarray]]]:
    """Pairs of runs that have counted what they have right together, and which images each has right."""
    random = np.random.default_rng(seeds)
    hard = random.random(IMAGES)
    gains = 0.3 + 0.6 * random.random(IMAGES), 0.6 * random.random(IMAGES)  # of an init, on an image, for every seed
    rights = [tuple(random.random(IMAGES) + gain > 2 * hard for gain in gains) for _ in range(seeds)]
    pairs = [(run_of("pretrained", n, a), run_of("scratch", n, b)) for n, (a, b) in enumerate(rights, 1)]
    flat = [(run, right) for pair, both in zip(pairs, rights, strict=True) for run, right in zip(pair, both, strict=True)]
    for place, (run, right) in enumerate(flat):
        run.both_right = {other.id: int((right & theirs).sum()) for other, theirs in flat[:place]}
    return pairs, rights  # type: ignore[return-value]


def test_a_difference_is_pretrained_minus_scratch_and_its_means_are_over_all_seeds() -> None:
    pairs, rights = study(3)
    found = difference_of(pairs)
    differences = [a.mean() - b.mean() for a, b in rights]
    assert found.difference == pytest.approx(np.mean(differences))
    assert found.difference_sd == pytest.approx(np.std(differences, ddof=1))
    assert (found.pretrained, found.scratch) == tuple(pytest.approx(np.mean([r[i].mean() for r in rights])) for i in (0, 1))
    assert found.pretrained_runs == ["pretrained-1", "pretrained-2", "pretrained-3"]
    assert found.low < found.difference < found.high


def literal_interval(differences: np.ndarray) -> tuple[float, float]:
    """The interval of differences (seeds, images) of -1, 0 and 1, by Bonett and Price and, of several seeds, over them too."""
    (seeds, images), more = differences.shape, differences.shape[1] + 2
    of_image, mean = differences.mean(0), differences.mean()
    padded = np.append(of_image, [1, -1])  # one image more on which each alone is right
    quantile = student.ppf(0.975, images - 1)
    half = quantile * np.sqrt(padded.var() / more)
    if seeds > 1:
        over = student.ppf(0.975, seeds - 1) * differences.mean(1).std(ddof=1) / np.sqrt(seeds)
        shared = np.mean([np.cov(a, b, ddof=0)[0, 1] for a, b in combinations(differences, 2)])
        half = max(half, np.sqrt(over**2 + quantile**2 * max(0.0, shared) / images))
    centre = images * mean / more
    return centre - half - 1 / more, centre + half + 1 / more


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_an_interval_is_that_of_the_images_themselves(seeds: int) -> None:
    pairs, rights = study(seeds)
    found = difference_of(pairs)
    wanted = literal_interval(np.array([a.astype(float) - b for a, b in rights]))
    assert found.interval == ("paired" if seeds == 1 else "seeds")
    assert (found.low, found.high) == (pytest.approx(wanted[0], abs=1e-8), pytest.approx(wanted[1], abs=1e-8))


@pytest.mark.parametrize("lost", ["counts", "the chosen accuracy"])
def test_without_counts_an_interval_is_that_of_independent_ones(lost: str) -> None:
    (pair,), _ = study(1)
    for run in pair:
        if lost == "counts":
            run.both_right = {}
        else:
            run.metrics["best_test_acc"] = run.metrics["test_acc"]
    if lost != "counts":
        pair[1].metrics = {name: value for name, value in pair[1].metrics.items() if name != "test_acc"}
    found = difference_of([pair])
    first, second = found.pretrained, found.scratch
    smoothed = [(IMAGES * accuracy + 1) / (IMAGES + 2) for accuracy in (first, second)]
    half = student.ppf(0.975, IMAGES - 1) * np.sqrt(sum(p * (1 - p) for p in smoothed) / (IMAGES + 2)) + 1 / (IMAGES + 2)
    assert found.interval == "unpaired"
    assert found.high - found.low == pytest.approx(2 * half, abs=1e-8)


def test_the_count_of_two_runs_is_found_in_either_and_only_of_equally_many_images() -> None:
    (pretrained, scratch), (first, second) = (both[0] for both in study(1))
    wanted = int((first & second).sum())
    assert both_right(pretrained, scratch) == both_right(scratch, pretrained) == wanted
    scratch.metrics["test_images"] = IMAGES - 1
    assert both_right(pretrained, scratch) is None


def test_pairs_have_the_same_options_and_the_test_images_of_both() -> None:
    pairs, _ = study(2)
    runs = [run for pair in pairs for run in pair]
    assert [(a.id, b.id) for a, b in pair_up(runs)[0]] == [("pretrained-1", "scratch-1"), ("pretrained-2", "scratch-2")]
    pairs[0][1].metrics["test_images"] = IMAGES - 1
    assert [a.id for a, _ in pair_up(runs)[0]] == ["pretrained-2"]


def test_settings_are_told_apart_and_of_each_seed_the_newest_pair_counts() -> None:
    pairs, _ = study(2)
    again = study(2)[0][0]
    for run in again:
        run.id += "-again"
    few = study(1)[0][0]
    for run in few:
        run.label_fraction, run.setup = 0.1, "few"
    found = over_settings([*pairs, again, few], {})
    assert [[pair[0].id for pair in group] for group in found] == [["pretrained-1-again", "pretrained-2"], ["pretrained-1"]]


def test_the_accuracy_that_validation_chose_is_compared_before_the_best_over_epochs() -> None:
    pairs, _ = study(1)
    for run, best in zip(pairs[0], (0.2, 0.9), strict=True):
        run.metrics["best_test_acc"] = best
    found = difference_of(pairs)
    assert found.metric == "test_acc"
    assert found.difference > 0 > found.best_test_difference


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.01, 0.1, "yes, by"), (-0.1, -0.01, "no, it costs"), (-0.01, 0.1, "chance")]
)
def test_only_an_interval_on_one_side_of_zero_is_called_a_gain_or_a_loss(low: float, high: float, words: str) -> None:
    found = replace(difference_of(study(1)[0]), difference=(low + high) / 2, low=low, high=high)
    assert words in answer([found])


def test_only_finished_evaluations_are_compared_and_of_equal_ones_the_newest(registry: Registry) -> None:
    made = {}
    for name, status in (("old", "finished"), ("new", "finished"), ("half", "running"), ("stopped", "failed")):
        known = {"protocol": "linear", "pair": "p", "init": "scratch", "metrics": {"test_acc": 0.5, "test_images": 80}}
        made[name] = registry.create(name, experiment="linear_eval", status=status, **known).id
    chosen = choose(registry, study=None).runs
    assert [run.id for run in chosen] == [made["new"]]
    everything = choose(registry, study=None, everything=True).runs
    assert {run.id for run in everything} == {made["old"], made["new"]}


def test_an_earlier_epochs_probe_never_stands_in_the_place_of_the_last_ones() -> None:
    last, early = run_of("pretrained", 1, np.ones(4)), run_of("pretrained", 1, np.zeros(4), at_epoch=2)
    assert newest([last, early], {}) == [last, early]
