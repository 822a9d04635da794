"""Intervals of a difference: what they cover, in simulated studies, and that a difference by chance is seldom called a gain."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from sslcli.commands.differences import answer, difference_of
from sslcli.evaluation.statistics import paired, t_quantile, unpaired
from sslcli.registry import Run

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
    assert {said["interval"] for said, _ in found} == {"paired" if seeds == 1 else "seeds"}
    covered = sum(float(said["low"]) <= truth <= float(said["high"]) for said, truth in found) / STUDIES  # type: ignore[arg-type]
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
    covered = sum(said["low"] <= 0 <= said["high"] for said in found) / 1000  # type: ignore[operator]
    assert covered < 0.9
    assert "other seeds can differ by more" in answer([found[0]])


@pytest.mark.parametrize("freedom", [1, 1.7, 2, 4, 30, 199, 201, 5000, float("inf")])
def test_quantiles_are_scipys(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(student.ppf(0.975, freedom), abs=2e-9)


def test_the_paired_interval_is_narrower_than_the_unpaired_one_and_spans_the_difference() -> None:
    narrow, wide = paired(700, 650, 600, 1000), unpaired(0.70, 0.65, 1000)
    assert [narrow.value, wide.value] == pytest.approx([0.05, 0.05])
    assert wide.low < narrow.low < 0.05 < narrow.high < wide.high


def test_classifiers_that_never_disagree_still_leave_some_doubt() -> None:
    found = paired(900, 900, 900, 1000)
    assert (found.value, found.low < 0 < found.high) == (0, True)


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
    assert (found["difference"], found["difference_sd"]) == (pytest.approx(0.02), pytest.approx(0.01))
    assert found["seeds"] == [0, 1, 2]
    # The runs agree on equally many images, so no image variance is shared; Student's t on the seeds alone is the least.
    half = student.ppf(0.975, 2) * 0.01 / 3**0.5
    assert found["high"] - found["difference"] == pytest.approx(half, rel=1e-6)
    assert "Means over 3 seeds" in answer([found])


def test_what_was_not_kept_makes_the_interval_wider_and_is_said() -> None:
    kept, lost = (difference_of(runs_of([0.01, 0.02, 0.03], counted=counted)) for counted in (True, False))
    assert (kept["interval"], lost["interval"]) == ("seeds", "seeds, unpaired")
    assert lost["low"] < kept["low"]
    assert difference_of(runs_of([0.01], counted=False))["interval"] == "unpaired"
