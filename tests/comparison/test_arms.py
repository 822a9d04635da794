"""Encoders from elsewhere beside one's own: paired differences, a ranking with scratch, and names that a person reads."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sslcli.comparison.arms import ArmDifference, arm_differences, arm_rankings, compare_encoders, names_of
from sslcli.evaluation.statistics import paired
from sslcli.evaluation.test_logits import FILE, read_kept
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli
from tests.models.test_networks import NAME, save_weights

Done = Callable[[str], Run]


@pytest.fixture
def measured(done: Done, once: Any) -> dict[str, Run]:
    """A pretraining, its probe, scratch, and another network with others' weights."""

    def make_measured() -> dict[str, Run]:
        done(f"pretrain {TINY}")
        save_weights(Path("theirs.pth"))
        line = "probe --epochs 2 --batch-size 32"
        inits = ("pretrained", "scratch", f"{NAME}@32=theirs.pth")
        return dict(zip(("own", "scratch", "theirs"), [done(f"{line} --init {init}") for init in inits], strict=True))

    return once(make_measured)


def test_own_pretraining_minus_another_network_is_paired_over_the_test_images(
    ssl: Cli, registry: Registry, measured: dict[str, Run]
) -> None:
    own, theirs = measured["own"], measured["theirs"]
    assert own.pair != theirs.pair
    assert theirs.id not in own.both_right | theirs.both_right
    found = json.loads(ssl("compare --format json").out)
    (beside,) = found["beside"]
    mine, other = (read_kept(registry.path(f"{run.folder}/{FILE}")).right for run in (own, theirs))
    wanted = paired(int(mine.sum()), int(other.sum()), int((mine & other).sum()), len(mine))
    assert [beside[name] for name in ("difference", "low", "high")] == pytest.approx([wanted.value, wanted.low, wanted.high])
    assert (beside["first"], beside["second"], beside["interval"]) == ("own pretraining", "theirs", "paired")
    assert (beside["first_runs"], beside["second_runs"]) == ([own.id], [theirs.id])
    (ranking,) = found["rankings"]
    assert {one["method"] for one in ranking["methods"]} == {"own pretraining", "scratch", "theirs"}
    assert (ranking["noun"], ranking["comparisons"]) == ("encoder", 3)
    assert [(one["init"], one["scratch_run"]) for one in found["differences"]] == [("pretrained", measured["scratch"].id)]


@pytest.mark.usefixtures("no_pictures")
def test_the_terminal_and_the_page_tell_the_ranking_and_the_difference(
    ssl: Cli, tmp_path: Path, measured: dict[str, Run]
) -> None:
    shown = ssl("compare")
    assert shown.code == 0, shown.err
    assert "has no partner" not in shown.err
    assert all(len(line) <= 100 for line in shown.out.splitlines())
    assert "Encoders in linear evaluation\nIn linear evaluation " in shown.out
    assert "Own pretraining - theirs: " in shown.out
    assert ssl("report --out page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "Own pretraining − theirs: " in page
    assert "wn pretraining - theirs" not in page
    assert "has no partner" not in page
    assert measured["own"].study is None


def test_without_its_logits_a_difference_is_unpaired(registry: Registry, measured: dict[str, Run]) -> None:
    runs = list(measured.values())
    registry.path(f"{measured['theirs'].folder}/{FILE}").unlink()
    _, (found,), ids = compare_encoders(registry, runs, {})
    assert (found.interval, ids) == ("unpaired", {run.id for run in runs})


def test_evaluations_with_other_options_are_not_compared(registry: Registry, done: Done, measured: dict[str, Run]) -> None:
    save_weights(Path("others.pth"))
    longer = done(f"probe --epochs 1 --batch-size 32 --init {NAME}@32=others.pth")
    _, _, ids = compare_encoders(registry, [measured["own"], measured["scratch"], longer], {})
    assert ids == set()


def test_a_difference_is_said_in_points() -> None:
    found = ArmDifference(
        place="kNN", first="own pretraining", second="ImageNet", seeds=[1], difference=-0.031, low=-0.05, high=-0.012,
        interval="paired", apart=True, first_runs=["a"], second_runs=["b"],
    )  # fmt: skip
    assert found.sentence() == "own pretraining - ImageNet: -3.1 points (95 % interval -5.0 to -1.2, for this pair alone)"
    doubted = replace(found, apart=False).sentence()
    assert doubted.endswith(", for this pair alone; of several comparisons one can look like this by chance)")
    assert replace(found, apart=False, high=0.01).sentence().endswith("-5.0 to +1.0, for this pair alone)")


def test_for_a_pair_alone_the_interval_lies_within_the_corrected_one_of_the_ranking_beside_it() -> None:
    def of(init: str, *accuracies: float) -> dict[int | None, Run]:
        return {
            seed: Run(
                id=f"{init}-{seed}", experiment="linear_eval", status="finished", protocol="linear", init=init, seed=seed,
                label_fraction=1.0, dataset="d", metrics={"test_acc": accuracy, "test_images": 10_000},
            )
            for seed, accuracy in enumerate(accuracies, 1)
        }  # fmt: skip

    group = {
        ("pretrained", "p", ""): of("pretrained", 0.76, 0.77, 0.78),
        ("file-lite0-12345678", "", ""): of("file-lite0-12345678", 0.815, 0.805, 0.795),
        ("scratch", "", "x"): of("scratch", 0.40, 0.41, 0.42),
    }
    (ranking,) = arm_rankings([group])
    (alone,) = arm_differences([group], [ranking])
    (corrected,) = [one for one in ranking.methods if one.method == "own pretraining"]
    assert corrected.difference == pytest.approx(alone.difference) == pytest.approx(-0.035)
    assert corrected.low < alone.low < alone.high < 0  # type: ignore[operator]
    assert alone.high <= corrected.high  # type: ignore[operator]
    assert alone.apart
    assert corrected.is_worse


def test_encoders_are_named_by_their_file_and_by_its_hash_only_where_two_have_one_name() -> None:
    inits = ["pretrained", "scratch", "file-lite0-11111111", "file-dino-22222222", "file-dino-33333333",
             "pretrained-from-lite0-11111111"]  # fmt: skip
    runs = [Run(id=f"run{number}", experiment="knn", status="finished", init=init) for number, init in enumerate(inits)]
    assert names_of([{1: run} for run in runs]) == [
        "own pretraining", "scratch", "lite0", "dino (22222222)", "dino (33333333)", "continued from lite0",
    ]  # fmt: skip
