"""Methods ranked: in simulated studies chance is seldom called better, and what is better is found."""

import json
from itertools import combinations, product
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from sslcli.comparison.ranked import Ranking
from sslcli.comparison.ranking import rankings
from sslcli.evaluation.statistics import TAIL, SeedSpread, Terms, over_seeds, t_quantile
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli

METHODS, IMAGES = 12, 500
SETUPS: dict[str, str | None] = {f"m{number}-{seed}": f"m{number}" for number, seed in product(range(METHODS), range(9))}


def runs_of(right: NDArray[np.bool_]) -> list[Run]:
    """Evaluations of methods from which images each has right (methods, seeds, images), with what two have right together."""
    flat = right.reshape(-1, right.shape[-1]).astype(np.int32)
    both = flat @ flat.T
    made: list[Run] = []
    for place, (method, seed) in enumerate(np.ndindex(right.shape[:2])):
        run = Run(
            id=f"{method}-{seed}", experiment="knn", status="finished", protocol="knn", init="pretrained", dataset="shapes",
            method=f"m{method}", seed=seed, label_fraction=1.0, setup="s", pair=f"p{seed}", parent=f"m{method}-{seed}",
        )  # fmt: skip
        run.metrics = {"test_acc": float(flat[place].mean()), "test_images": right.shape[-1]}
        run.both_right = {other.id: int(both[place, before]) for before, other in enumerate(made)}
        made.append(run)
    return made


def study(seeds: int, random: np.random.Generator, *, better: float = 0.0, unsteady: float = 1.0) -> Ranking:
    """A simulated study's ranking: images are hard or easy for all, seeds differ in skill if there are several.

    Method 3 is `better`; the seeds of method 5 differ `unsteady` times as much as those of the others.
    """
    hard = 1.2 * random.standard_normal(IMAGES)
    of_method = 0.5 * random.standard_normal((METHODS, 1, IMAGES))
    deviations = np.where(np.arange(METHODS) == 5, unsteady, 1.0)[:, None, None] * (0.1 if seeds > 1 else 0)
    skill = 0.4 + deviations * random.standard_normal((METHODS, seeds, 1))
    skill = skill + better * (np.arange(METHODS) == 3)[:, None, None]
    noise = random.standard_normal((METHODS, seeds, IMAGES))
    (ranking,) = rankings(runs_of(skill + hard + of_method + noise > 0), SETUPS)
    return ranking


@pytest.mark.parametrize(("seeds", "studies", "unsteady"), [(1, 400, 1), (3, 200, 1), (3, 200, 3)])
def test_of_twelve_equal_methods_one_is_called_worse_in_at_most_5_percent_of_the_studies(
    seeds: int, studies: int, unsteady: float
) -> None:
    random = np.random.default_rng(seeds)
    found = [study(seeds, random, unsteady=unsteady) for _ in range(studies)]
    assert {ranking.comparisons for ranking in found} == {66}
    assert sum(any(one.is_worse for one in ranking.methods) for ranking in found) / studies <= 0.05


def test_corrected_only_for_the_comparisons_with_the_best_chance_would_be_called_worse_too_often() -> None:
    """The best is chosen by the same numbers: eleven comparisons are too few to correct for, which is why all pairs count."""
    random = np.random.default_rng(1)
    found = [study(1, random) for _ in range(400)]
    narrow = [t_quantile(IMAGES - 1, TAIL / 11) / t_quantile(IMAGES - 1, TAIL / 66) for _ in found]
    called = sum(
        any((one.difference or 0) + (one.high - one.difference) * share < 0 for one in ranking.methods[1:])  # type: ignore[operator]
        for ranking, share in zip(found, narrow, strict=True)
    )
    assert called / 400 > 0.05


@pytest.mark.parametrize(("seeds", "better"), [(1, 0.8), (3, 0.8), (5, 0.6)])
def test_a_method_that_is_better_is_found_and_every_other_is_told_from_it(seeds: int, better: float) -> None:
    random = np.random.default_rng(seeds)
    found = [study(seeds, random, better=better) for _ in range(30)]
    assert {ranking.methods[0].method for ranking in found} == {"m3"}
    told = [sum(one.is_worse for one in ranking.methods) for ranking in found]
    assert sum(told) / (30 * (METHODS - 1)) > 0.8
    assert "better than every other method" in found[told.index(METHODS - 1)].sentence()


def literal_holm(right: NDArray[np.bool_]) -> set[frozenset[int]]:
    """Which pairs Holm's procedure calls different, from p values by inverting the interval of two classifiers."""
    chances = {}
    for first, second in combinations(range(len(right)), 2):
        a, b = right[first, 0], right[second, 0]
        more = IMAGES + 2
        each = np.append(a.astype(float) - b, [1, -1])
        centre = each.sum() / more
        chances[frozenset((first, second))] = 2 * student.sf(
            max(0.0, abs(centre) - 1 / more) / np.sqrt(each.var() / more), IMAGES - 1
        )
    told: set[frozenset[int]] = set()
    for step, (two, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        if chance > TAIL / (len(chances) - step):
            break
        told.add(two)
    return told


def test_which_methods_are_worse_is_what_holms_procedure_says() -> None:
    random = np.random.default_rng(4)
    differing = 0
    for _ in range(40):
        skill = 0.4 * random.standard_normal((5, 1, 1))
        right = skill + random.standard_normal(IMAGES) + random.standard_normal((5, 1, IMAGES)) > 0
        (ranking,) = rankings(runs_of(right), SETUPS)
        best = int(ranking.methods[0].method[1:])
        told = literal_holm(right)
        assert {int(one.method[1:]) for one in ranking.methods if one.is_worse} == {
            number for two in told if best in two for number in two - {best}
        }
        differing += 0 < sum(one.is_worse for one in ranking.methods) < 4
        for one in ranking.methods[1:]:
            assert one.is_worse == ((one.high or 0) <= 0)
    assert differing > 5


def test_the_intervals_of_a_ranking_hold_all_together_though_every_two_can_be_told_apart() -> None:
    random, skills, studies = np.random.default_rng(5), np.array([1.0, 0.0, -1.0]), 400
    truth = [NormalDist().cdf(skill / 2**0.5) for skill in skills]
    right = (
        skills[:, None, None]
        + random.standard_normal((studies, 1, 1, IMAGES))
        + random.standard_normal((studies, 3, 1, IMAGES))
        > 0
    )
    missed = 0
    for one in right:
        (ranking,) = rankings(runs_of(one), SETUPS)
        assert ranking.apart == ((0, 1), (0, 2), (1, 2))
        missed += any(
            not other.low <= truth[place] - truth[0] <= other.high  # type: ignore[operator]
            for place, other in enumerate(ranking.methods[1:], 1)
        )
    assert missed / studies <= 0.05


def test_a_method_that_only_a_later_step_tells_from_the_best_has_an_interval_that_ends_at_0() -> None:
    random, found = np.random.default_rng(6), []
    for _ in range(60):
        skill = np.array([0.5, 0.3, -1.5])[:, None, None]
        (ranking,) = rankings(runs_of(skill + random.standard_normal((3, 1, IMAGES)) > 0), SETUPS)
        found += [one for one in ranking.methods if one.is_worse and one.high == 0.0]
    assert found
    assert all(one.difference is not None and one.difference < 0 for one in found)


def test_two_settings_of_an_evaluation_are_ranked_under_names_that_tell_them_apart() -> None:
    settings: dict[str, str] = {}
    runs = []
    for setup, words, scratch in (("a", "k 10", 4400), ("b", "k 200, temperature 0.1", 4000)):
        made = evaluations({"byol": 9000, "simclr": 8000, "scratch": scratch}, setup=setup, protocol="knn", experiment="knn")
        for run in made:
            run.id = f"{run.id}-{setup}"
            settings[run.id] = words
        runs += made
    found = rankings(runs, {}, settings)
    assert [ranking.place for ranking in found] == ["kNN (k 10)", "kNN (k 200, temperature 0.1)"]
    assert [ranking.scratch for ranking in found] == [("run-scratch-a",), ("run-scratch-b",)]
    assert rankings(runs[:3], {}, settings)[0].place == "kNN"
    other = evaluations({"byol": 9000, "simclr": 8000}, dataset="patchwork")
    here = evaluations({"byol": 9000, "simclr": 8000}, dataset="shapes")
    assert [ranking.place for ranking in rankings([*here, *other], {})] == [
        "linear evaluation (shapes)", "linear evaluation (patchwork)"
    ]  # fmt: skip


def test_a_ranking_has_means_deviations_and_paired_differences_from_the_best() -> None:
    right = np.random.default_rng(0).random((3, 4, IMAGES)) < np.array([0.5, 0.8, 0.6])[:, None, None]
    (ranking,) = rankings(runs_of(right), SETUPS)
    assert [one.method for one in ranking.methods] == ["m1", "m2", "m0"]
    accuracies = right.mean(2)
    best, last = ranking.methods[0], ranking.methods[2]
    assert (best.difference, best.low, best.high, best.interval) == (None, None, None, None)
    assert (last.mean, last.sd) == (pytest.approx(accuracies[0].mean()), pytest.approx(accuracies[0].std(ddof=1)))
    assert last.difference == pytest.approx((accuracies[0] - accuracies[1]).mean())
    variances = accuracies.var(1, ddof=1)
    assert variances[2] + variances[1] < 2 * variances.mean() < variances[0] + variances[1]  # either of them is the larger one
    for place, number in ((2, 0), (1, 2)):
        each = right[number].astype(int) - right[1]
        known = SeedSpread(max(variances[number] + variances[1], 2 * float(variances.mean())), 9)
        wanted = over_seeds(
            each.mean(1).tolist(), (each != 0).mean(1).tolist(),
            [float((each[i] * each[j]).mean()) for i, j in combinations(range(4), 2)], IMAGES,
            terms=Terms(tail=ranking.tail, spread=known),
        )  # fmt: skip
        found = ranking.methods[place]
        assert (found.low, found.high) == (pytest.approx(wanted.low), pytest.approx(wanted.high))
    assert last.interval == "seeds"
    assert (ranking.comparisons, last.seeds) == (3, (0, 1, 2, 3))


@pytest.mark.parametrize("freedom", [1, 2, 4, 11, 199, 201, 10_000])
@pytest.mark.parametrize("tail", [0.05, 0.01, 0.05 / 66, 1e-5])
def test_quantiles_of_corrected_intervals_are_scipys(freedom: int, tail: float) -> None:
    assert t_quantile(freedom, tail) == pytest.approx(student.ppf(1 - tail / 2, freedom), rel=1e-6)


def evaluations(counts: dict[str, int], **known: Any) -> list[Run]:
    """One seed's evaluations by method or others' weights, with independent answers."""
    made: list[Run] = []
    for name, right in counts.items():
        init = "pretrained" if name.islower() and not name.startswith("file-") else name
        method = None if init.startswith("file-") or name == "scratch" else name
        values = {
            "experiment": "linear_eval",
            "protocol": "linear",
            "seed": 1,
            "setup": "s",
            "pair": "p",
            "label_fraction": 1.0,
        }
        run = Run(id=f"run-{name}", status="finished", init="scratch" if name == "scratch" else init, method=method,
                  parent=None if method is None else f"pre-{name}", **values | known)  # fmt: skip
        run.metrics = {"test_acc": right / 10_000, "test_images": 10_000}
        run.both_right = {other.id: round(right * other.metrics["test_acc"]) for other in made}
        made.append(run)
    return made


def test_the_sentence_names_the_best_and_what_cannot_be_told_from_it() -> None:
    said = [rankings(evaluations(counts), {})[0].sentence() for counts in (
        {"byol": 9000, "simclr": 8950, "vicreg": 8940, "dino": 8000},
        {"byol": 9000, "simclr": 8000, "vicreg": 8100},
        {"byol": 9000, "simclr": 8990, "vicreg": 8980},
        {"byol": 9000, "simclr": 8990},
    )]  # fmt: skip
    assert said == [
        "In linear evaluation byol has the highest accuracy; simclr and vicreg cannot be told from it.",
        "In linear evaluation byol has the highest accuracy, and is better than every other method.",
        "In linear evaluation byol has the highest accuracy; no other method can be told from it.",
        "In linear evaluation byol has the highest accuracy; simclr cannot be told from it.",
    ]


def test_methods_without_a_common_seed_are_neither_worse_nor_alike() -> None:
    def ranked(**seeds: tuple[int, ...]) -> Ranking:
        right = np.random.default_rng(0).random((3, 9, 1000)) < np.array([0.9, 0.5, 0.2])[:, None, None]
        wanted = {f"{method}-{seed - 1}" for method, of in zip("012", seeds.values(), strict=True) for seed in of}
        (found,) = rankings([run for run in runs_of(right) if run.id in wanted], SETUPS)
        return found

    assert ranked(a=(1, 2), b=(1, 2), c=(3,)).sentence() == (
        "In kNN m0 has the highest accuracy, and is better than every other method that shares a seed with it; "
        "m2 has no seed in common with it."
    )
    found = ranked(a=(1,), b=(2,), c=(3,))
    assert found.sentence() == "In kNN m0 has the highest accuracy; m1 and m2 have no seed in common with it."
    assert found.unseen == ((0, 1), (0, 2), (1, 2))
    assert ranked(a=(1,), b=(1,), c=(1,)).unseen == ()


def test_others_weights_are_ranked_beside_methods_and_scratch_is_not() -> None:
    (ranking,) = rankings(evaluations({"simclr": 8000, "scratch": 4000, "file-theirs-0a1b2c3d": 9000}), {})
    assert [one.method for one in ranking.methods] == ["theirs", "simclr"]


def test_one_method_is_not_ranked_and_evaluations_of_other_kinds_are_not_ranked_together() -> None:
    one = evaluations({"simclr": 8000, "scratch": 4000})
    assert rankings(one, {}) == []
    few = evaluations({"byol": 7000}, label_fraction=0.1)
    other = evaluations({"byol": 7000}, setup="another k")
    assert rankings([*one, *few, *other], {}) == []


def test_two_settings_of_a_method_are_named_by_what_tells_them_apart() -> None:
    runs = [*evaluations({"simclr": 8000, "byol": 7900}), *evaluations({"simclr": 8500})]
    runs[2].id, runs[2].parent = "again", "pre-again"
    (ranking,) = rankings(runs, {}, {"run-simclr": "pretraining's epochs 5", "again": "pretraining's epochs 50"})
    assert [one.method for one in ranking.methods] == [
        "simclr (pretraining's epochs 50)", "simclr (pretraining's epochs 5)", "byol"
    ]  # fmt: skip
    (ranking,) = rankings(runs, {})
    assert [one.method for one in ranking.methods] == ["simclr (again)", "simclr (run-simclr)", "byol"]


def test_methods_without_a_seed_in_common_have_no_interval_and_cannot_be_told() -> None:
    runs = [*evaluations({"simclr": 9000}), *evaluations({"byol": 5000}, seed=2)]
    (ranking,) = rankings(runs, {})
    assert ranking.comparisons == 0
    assert [(one.difference, one.low, one.is_worse) for one in ranking.methods] == [(None, None, False)] * 2


@pytest.fixture
def several(registry: Registry) -> Registry:
    for run in evaluations({"byol": 9000, "simclr": 8950, "scratch": 4000, "dino": 8000}):
        known = {key: value for key, value in vars(run).items() if key not in ("id", "created", "both_right")}
        registry.create(run.id, **known)
    return registry


@pytest.mark.usefixtures("several")
def test_compare_ranks_methods_below_its_answer_in_lines_that_fit(ssl: Cli) -> None:
    shown = ssl("compare").out
    answer, ranked, table, *_ = shown.split("\n\n")
    assert answer.startswith("Does pretraining help?")
    assert ranked.splitlines() == [
        "Methods in linear evaluation",
        "In linear evaluation byol has the highest accuracy; simclr cannot be told from it.",
    ]
    rows = [line.split() for line in table.splitlines()[2:5]]
    assert [row[:3] for row in rows] == [["byol", "1", "90.00%"], ["simclr", "1", "89.50%"], ["dino", "1", "80.00%"]]
    assert rows[1][3] == "-0.50"
    assert [" ".join(row[-3:]) for row in rows[1:2]] == ["cannot be told"]
    assert rows[2][-1] == "worse"
    assert "Corrected for 3 comparisons of two methods: the 95 % intervals (Bonferroni)," in table
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.usefixtures("several")
def test_json_and_markdown_have_the_ranking_too(ssl: Cli) -> None:
    (ranking,) = json.loads(ssl("compare --format json").out)["rankings"]
    assert [(one["method"], one["is_worse"]) for one in ranking["methods"]] == [
        ("byol", False),
        ("simclr", False),
        ("dino", True),
    ]
    assert ranking["comparisons"] == 3
    shown = ssl("compare --format markdown").out
    assert "| byol | 1 | 90.00% |  |  |  |" in shown
    assert "simclr cannot be told from it." in shown


@pytest.mark.usefixtures("several")
def test_the_page_has_the_ranking_and_its_sentence(ssl: Cli, tmp_path: Path) -> None:
    assert ssl("report --out page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "<h3>Methods in linear evaluation</h3>" in page
    assert "In linear evaluation byol has the highest accuracy; simclr cannot be told from it." in page
    assert "Corrected for 3 comparisons" in page
    assert page.index(">byol</th>") < page.index(">simclr</th>") < page.index(">dino</th>")
    assert "−0.50" in page
