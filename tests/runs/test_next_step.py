"""What a person is told to type next, by what is in the project."""

import os
from collections.abc import Iterator

import pytest

from sslcli.files import write_text
from sslcli.locks import locked
from sslcli.runs.next_step import next_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli

LINE = "ssl study --dataset folder:photos --minutes 1"


def evaluated(registry: Registry, *, dataset: str, seed: int = 1, study: str | None = "mine", command: str = LINE) -> list[Run]:
    """A pretraining and its pair of probes, all finished, and the page of the study."""
    known = {"status": "finished", "dataset": dataset, "seed": seed, "study": study, "command": command}
    runs = [registry.create("simclr", experiment="pretrain", **known)] + [
        registry.create(init, experiment="linear_eval", protocol="linear", init=init, pair=f"p{seed}", **known)
        for init in ("pretrained", "scratch")
    ]
    write_text(registry.root / "results" / f"{study}.html", "the page")
    return runs


@pytest.mark.parametrize(
    ("dataset", "command"),
    [
        ("patchwork", "ssl study --preset cifar10-laptop --download"),
        ("folder:photos", f"{LINE} --seeds 3"),
        ("cifar10", f"{LINE} --seeds 3"),
    ],
)
def test_after_a_study_of_one_seed_come_real_pictures_or_more_seeds(registry: Registry, dataset: str, command: str) -> None:
    evaluated(registry, dataset=dataset)
    assert next_command(registry) == command


@pytest.mark.parametrize(("dataset", "command"), [("folder:photos", "ssl export"), ("cifar10", "ssl runs verify --numbers")])
def test_after_a_study_of_several_seeds_comes_the_encoder_or_the_check(registry: Registry, dataset: str, command: str) -> None:
    for seed in (1, 2):
        evaluated(registry, dataset=dataset, seed=seed)
    assert next_command(registry) == command


@pytest.mark.parametrize("written", [False, True])
def test_a_study_that_was_stopped_between_two_runs_goes_on_before_anything_else(registry: Registry, written: bool) -> None:
    evaluated(registry, dataset="patchwork")
    page = registry.root / "results" / "mine.html"
    if written:
        os.utime(page, (1e9, 1e9))  # when it had fewer seeds
    else:
        page.unlink()
    assert next_command(registry) == LINE


def test_a_study_that_was_stopped_after_its_pretraining_goes_on(registry: Registry) -> None:
    registry.create("simclr", experiment="pretrain", status="finished", study="mine", command=LINE)
    assert next_command(registry) == LINE


def test_after_runs_by_hand_comes_the_comparison(registry: Registry) -> None:
    evaluated(registry, dataset="cifar10", study=None)
    assert next_command(registry) == "ssl compare"


def test_while_a_study_is_at_work_it_is_watched_and_when_it_was_stopped_it_goes_on(registry: Registry) -> None:
    runs = evaluated(registry, dataset="cifar10")
    runs[1].status, runs[2].status = "running", "interrupted"
    for run in runs[1:]:
        registry.save(run)
    registry.beat(runs[1])
    with locked(registry.path(f"{runs[1].folder}/.lock"), timeout=0):
        assert next_command(registry) == "ssl status --watch --study mine"
    assert next_command(registry) == LINE


@pytest.fixture
def busy(registry: Registry) -> Iterator[Run]:
    """A pretraining that runs in another process."""
    run = registry.create("simclr", experiment="pretrain", status="running")
    registry.beat(run)
    with locked(registry.path(f"{run.folder}/.lock"), timeout=0):
        yield run


def test_a_run_that_is_being_trained_is_not_to_be_evaluated_yet(ssl: Cli, busy: Run) -> None:
    shown = ssl("").out
    assert "1 running pretrain" in shown
    assert shown.rstrip().endswith("Next, type: ssl runs list")
    assert busy.study is None


def test_every_line_of_the_first_screen_fits_a_terminal_and_the_first_studies_can_be_typed(ssl: Cli) -> None:
    lines = ssl("").out.splitlines()
    studies = [line.partition("  ")[0] for line in map(str.strip, lines) if line.strip().startswith("ssl study")]
    assert studies == ["ssl study", "ssl study --preset cifar10-laptop --download", "ssl study --dataset folder:photos"]
    assert [line for line in lines if len(line) > 80 and not line.startswith("Project")] == []


def test_a_record_that_kept_plan_is_answered_with_the_line_that_trains(registry: Registry) -> None:
    registry.create("simclr", experiment="pretrain", status="interrupted", study="mine", command=f"{LINE} --plan --format json")
    assert next_command(registry) == LINE
