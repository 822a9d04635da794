"""Intervals of a difference: what they cover, in simulated studies, and that a difference by chance is seldom called a gain."""

from bisect import bisect
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, multinomial, norm
from scipy.stats import t as student

from sslcli.comparison.answer import answer
from sslcli.comparison.differences import difference_of
from sslcli.evaluation.statistics import over_seeds, paired, paired_scores, t_quantile, unpaired
from sslcli.runs.run import Run
from tests.benchmarks.intervals import Setting, simulate

STUDIES, IMAGES = 2000, 1000
SEED_SD, IMAGE_SD, EFFECT_SD = 0.08, 1.2, 0.5  # in units of the noise of one network on one image


def right_of(
    mean: float, common: NDArray[np.float64], own: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.bool_]:
    """Whether a network has each image right: its skill, the image's difficulty, what its init makes of it, and noise."""
    drawn: NDArray[np.bool_] = mean + common + own + random.standard_normal(len(common)) > 0
    return drawn


def expected_accuracy(mean: float | NDArray[np.float64]) -> float:
    """Over all images, of networks of a mean skill."""
    return float(np.mean(norm.cdf(mean / np.sqrt(1 + IMAGE_SD**2 + EFFECT_SD**2))))


def study(seeds: int, *, gain: float, random: np.random.Generator) -> tuple[dict[str, object], float]:
    """What is said of a simulated study, and the truth: of these networks for one seed, of all seeds for several."""
    common = IMAGE_SD * random.standard_normal(IMAGES)
    own = [EFFECT_SD * random.standard_normal(IMAGES) for _ in range(2)]
    runs, skills, rights = [], [], []
    for seed in range(seeds):
        pair = []
        for init, mean, of_init in zip(("pretrained", "scratch"), (0.4 + gain, 0.4), own, strict=True):
            skills.append(mean + SEED_SD * random.standard_normal())
            rights.append(right_of(skills[-1], common, of_init, random))
            run = Run(id=f"{init}-{seed}", experiment="linear_eval", status="finished", init=init, seed=seed)
            run.metrics = {"test_acc": float(rights[-1].mean()), "test_images": IMAGES}
            pair.append(run)
        runs.append((pair[0], pair[1]))
    everyone = [run for pair in runs for run in pair]
    for (first, mine), (second, theirs) in combinations(zip(everyone, rights, strict=True), 2):
        first.both_right[second.id] = int((mine & theirs).sum())
    if seeds == 1:
        return difference_of(runs), expected_accuracy(skills[0]) - expected_accuracy(skills[1])
    spread = np.sqrt(1 + IMAGE_SD**2 + EFFECT_SD**2 + SEED_SD**2)
    return difference_of(runs), float(norm.cdf((0.4 + gain) / spread) - norm.cdf(0.4 / spread))


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("gain", [0.0, 0.3])
def test_intervals_of_2000_simulated_studies_cover_the_truth_and_seldom_call_chance_a_gain(seeds: int, gain: float) -> None:
    random = np.random.default_rng(seeds)
    found = [study(seeds, gain=gain, random=random) for _ in range(STUDIES)]
    assert {said.interval for said, _ in found} == {"paired" if seeds == 1 else "seeds"}
    covered = sum(float(said.low) <= truth <= float(said.high) for said, truth in found) / STUDIES  # type: ignore[arg-type]
    assert 0.93 <= covered <= 0.985
    gains = sum("yes, by" in answer([said]) for said, _ in found) / STUDIES
    if gain == 0 and seeds > 1:
        assert gains <= 0.05
    if gain == 0 and seeds == 1:  # there the truth of each study is another: a gain is false where the truth is none
        false = sum("yes, by" in answer([said]) for said, truth in found if truth <= 0) / sum(t <= 0 for _, t in found)
        assert false <= 0.05
    if gain > 0 and seeds != 2:  # with two, t is 12.7: little can be told
        assert gains > 0.5


def test_one_seeds_interval_does_not_speak_of_other_seeds() -> None:
    random = np.random.default_rng(0)
    found = [study(1, gain=0.0, random=random)[0] for _ in range(1000)]
    covered = sum(said.low <= 0 <= said.high for said in found) / 1000  # type: ignore[operator]
    assert covered < 0.9
    assert "other seeds can differ by more" in answer([found[0]])


@pytest.mark.parametrize("freedom", [1, 1.7, 2, 4, 30, 199, 201, 5000, float("inf")])
def test_quantiles_are_scipys(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(student.ppf(0.975, freedom), abs=2e-9)


def test_the_paired_interval_is_narrower_than_the_unpaired_one_and_spans_the_difference() -> None:
    narrow, wide = paired(700, 650, 600, 1000), unpaired([0.70], [0.65], 1000)
    assert [narrow.value, wide.value] == pytest.approx([0.05, 0.05])
    assert wide.low < narrow.low < 0.05 < narrow.high < wide.high


def test_classifiers_that_never_disagree_still_leave_some_doubt() -> None:
    found = paired(900, 900, 900, 1000)
    assert (found.value, found.low < 0 < found.high) == (0, True)


@pytest.mark.parametrize("images", [5, 20, 60, 120])
def test_one_seeds_interval_covers_95_percent_of_all_outcomes_in_every_corner(images: int) -> None:
    """Exactly: over every count of images that one of the two alone has right, at shares that few and many images have."""
    counts = [(a, b) for a, b in product(range(images + 1), repeat=2) if a + b <= images]
    found = [paired(a, b, 0, images) for a, b in counts]
    low, high = np.array([said.low for said in found]), np.array([said.high for said in found])
    cells = [(a, b, images - a - b) for a, b in counts]
    shares = (0.0, 0.5 / images, 2 / images, 4 / images, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95)
    for first, second in product(shares, repeat=2):
        if first + second <= 1:
            chance = multinomial.pmf(cells, images, [first, second, max(0.0, 1 - first - second)])
            truth = first - second
            assert chance[(low <= truth + 1e-9) & (high >= truth - 1e-9)].sum() >= 0.95, (first, second)


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_of_10000_images_at_most_49_in_1000_studies_of_one_seed_without_an_effect_are_called(share: float) -> None:
    """Exactly: over every count of images on which the two disagree, `share` of them in the mean."""
    called = 0.0
    for disagreeing in range(int(binom.ppf(1e-9, 10_000, share)), int(binom.ppf(1 - 1e-9, 10_000, share)) + 1):
        fewest = bisect(range(disagreeing + 1), 0, key=lambda first: paired(first, disagreeing - first, 0, 10_000).low)
        called += binom.pmf(disagreeing, 10_000, share) * 2 * binom.sf(fewest - 1, disagreeing, 0.5)
    assert 0.04 < called <= 0.049


@pytest.mark.parametrize(
    ("seeds", "images", "accuracies", "deviations"),
    [
        (2, 20, (0.1, 0.1), (0, 0, 0)),  # seeds whose differences are equal by chance
        (2, 200, (0.02, 0.02), (0, 0, 0)),
        (2, 60, (0.02, 0.0), (10, 0, 0)),  # seeds that are right on the same images
        (5, 60, (0.995, 0.98), (10, 0, 0)),
        (3, 200, (0.98, 0.98), (10, 10, 0)),
    ],
)
def test_studies_of_few_images_and_seeds_that_agree_are_covered_and_not_called(
    seeds: int, images: int, accuracies: tuple[float, float], deviations: tuple[float, float, float]
) -> None:
    found = simulate(Setting(seeds, images, accuracies, deviations), 2000, seed=0)
    assert found.covered >= 0.93
    assert found.false <= 0.05
    assert found.unpaired_covered >= 0.93


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 60), st.randoms(use_true_random=False))
def test_every_interval_has_a_width_holds_its_difference_and_is_possible(seeds: int, images: int, random: object) -> None:
    right = np.random.default_rng(random.getrandbits(32)).random((seeds, 2, images)) < random.choice([0, 0.02, 0.5, 1])  # type: ignore[attr-defined]
    each = right[:, 0].astype(int) - right[:, 1]
    twos = [float((each[i] * each[j]).mean()) for i in range(seeds) for j in range(i)]
    first, second = right.mean(2).T.tolist()
    differences = [a - b for a, b in zip(first, second, strict=True)]
    disagreements = (each != 0).mean(1).tolist()
    there, back = (over_seeds([sign * d for d in differences], disagreements, twos, images) for sign in (1, -1))
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    for said in (there, unpaired(first, second, images)):
        assert -1 <= said.low < said.high <= 1
        assert said.low - 1e-9 <= said.value <= said.high + 1e-9
        assert said.high - said.low > 1 / images


def test_seeds_that_give_the_same_answers_are_told_as_surely_as_one() -> None:
    one = paired(30, 20, 15, 50)
    several = over_seeds([0.2] * 3, [20 / 50] * 3, [20 / 50] * 3, 50)
    assert (several.low, several.high) == pytest.approx((one.low, one.high))


def test_two_seeds_with_equal_differences_leave_some_doubt() -> None:
    found = difference_of(runs_of([0.025, 0.025], counted=True))
    assert found.high - found.low > 0.02
    assert "yes" not in answer([difference_of(runs_of([0.002, 0.002], counted=True))])


def test_counts_that_cannot_be_are_not_believed() -> None:
    for impossible in (601, 1000, 100):  # of 1,000 images 610 and 600 are right
        (first, second), *_ = pairs = runs_of([0.01], counted=True)
        first.both_right = {second.id: impossible}
        assert difference_of(pairs).interval == "unpaired", impossible
    assert difference_of(runs_of([0.01], counted=True)).interval == "paired"


def runs_of(differences: list[float], *, counted: bool) -> list[tuple[Run, Run]]:
    pairs = []
    for seed, difference in enumerate(differences):
        runs = [
            Run(id=f"{init}{seed}", experiment="linear_eval", status="finished", init=init, seed=seed,
                metrics={"test_acc": accuracy, "test_images": 1000})
            for init, accuracy in (("pretrained", 0.6 + difference), ("scratch", 0.6))
        ]  # fmt: skip
        pairs.append((runs[0], runs[1]))
    everyone = [run for pair in pairs for run in pair]
    for first, second in combinations(everyone, 2):
        first.both_right |= {second.id: 550} if counted else {}
    return pairs


def test_several_seeds_give_mean_and_deviation_and_students_interval() -> None:
    found = difference_of(runs_of([0.01, 0.02, 0.03], counted=True))
    assert (found.difference, found.difference_sd) == (pytest.approx(0.02), pytest.approx(0.01))
    assert found.seeds == [0, 1, 2]
    # The runs agree on equally many images, so no image variance is shared: Student's t on the seeds, and one image.
    half = student.ppf(0.975, 2) * 0.01 / 3**0.5 + 1 / 1002
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-6)
    assert (found.high + found.low) / 2 == pytest.approx(0.02 * 1000 / 1002)
    assert "Means over 3 seeds" in answer([found])


def test_what_was_not_kept_makes_the_interval_wider_and_is_said() -> None:
    kept, lost = (difference_of(runs_of([0.01, 0.02, 0.03], counted=counted)) for counted in (True, False))
    assert (kept.interval, lost.interval) == ("seeds", "seeds, unpaired")
    assert lost.low < kept.low
    assert difference_of(runs_of([0.01], counted=False)).interval == "unpaired"


def test_at_least_93_percent_of_the_intervals_of_scores_between_right_and_wrong_cover_the_truth() -> None:
    """Scores as of a card: each image has 15 versions, which a classifier has right with a probability of the image's own."""
    random, covered, studies = np.random.default_rng(3), 0, 500
    truth = 0.0669887  # of the two skills, as the mean of the logistic function over a normal of variance 1.5^2 + 0.7^2
    for _ in range(studies):
        hard = random.normal(0, 1.5, (60, 1))
        first, second = (
            (random.random((60, 15)) < 1 / (1 + np.exp(-hard - random.normal(0, 0.7, (60, 1)) - skill))).mean(1)
            for skill in (0.4, 0.0)
        )
        apart = first - second
        found = paired_scores(apart.mean(), (apart**2).mean(), 60)
        covered += found.low <= truth <= found.high
    assert covered / studies >= 0.93
