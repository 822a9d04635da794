"""A run that is not there: the nearest one, and how one comes to be."""

import pytest

from sslcli.errors import StateError
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli


def make(registry: Registry, stem: str = "simclr-resnet9-shapes-s1", **known: str) -> Run:
    return registry.create(stem, **{"experiment": "pretrain", "status": "finished"} | known)  # type: ignore[arg-type]


def test_a_mistyped_id_or_name_is_answered_with_the_nearest_one(registry: Registry, ssl: Cli) -> None:
    first, second = make(registry), make(registry, "byol-resnet18-cifar10-s2", name="with-the-new-camera")
    for typed, meant in (
        (first.id.replace("resnet9", "resent9"), first.id), (second.id.replace("byol", "bylo"), second.id),
        ("with-the-new-camrea", "with-the-new-camera"),
    ):  # fmt: skip
        with pytest.raises(StateError, match=f"no run is called {typed!r}; did you mean {meant!r}"):
            registry.find(typed)
    end = first.id[-4:]
    assert f"did you mean {end!r}? " in ssl(f"runs show {end}x").err
    with pytest.raises(StateError, match="no run is called 'zzz'; the newest are: "):
        registry.find("zzz")


def test_a_mistyped_study_is_answered_with_the_nearest_one(registry: Registry, ssl: Cli) -> None:
    make(registry, experiment="linear_eval", study="photographs")
    for command in ("compare", "status"):
        assert (
            "is called 'photgraphs'; did you mean 'photographs'? there are: photographs"
            in ssl(f"{command} --study photgraphs").err
        )


@pytest.mark.parametrize("line", ["export", "embed", "suggest", "card", "neighbours a.png", "runs show", "probe"])
def test_in_an_empty_project_the_first_advice_is_a_study(ssl: Cli, line: str) -> None:
    if line.startswith("neighbours"):
        with open("a.png", "wb") as handle:
            handle.write(b"x")
    refused = ssl(line)
    assert (refused.code, "to make some, type: ssl study, or: ssl pretrain" in refused.err) == (3, True), refused.err


@pytest.mark.parametrize("line", ["predict", "map", "compare", "report", "plots", "status"])
def test_what_shows_a_study_advises_one_in_an_empty_project(ssl: Cli, line: str) -> None:
    refused = ssl(line)
    assert (refused.code, refused.err.rstrip().endswith("type: ssl study")) == (3, True), refused.err


def test_of_runs_that_are_not_finished_one_that_was_begun_is_named_before_those_that_wait(registry: Registry) -> None:
    begun = make(registry, status="interrupted")
    registry.beat(begun)
    make(registry, status="interrupted")
    with pytest.raises(StateError, match=f" yet: {begun.id} is interrupted; to go on, type: ssl resume {begun.id}$"):
        registry.find("latest", experiment="pretrain", status="finished")


def test_a_run_that_is_not_finished_yet_is_named_with_its_state(registry: Registry) -> None:
    run = make(registry, status="interrupted")
    with pytest.raises(StateError, match=f" yet: {run.id} is waiting; to go on, type: ssl resume {run.id}$"):
        registry.find("latest", experiment="pretrain", status="finished")
    run.status = "running"
    registry.save(run)
    with (
        registry.claim(run),
        pytest.raises(StateError, match=f" yet: {run.id} is running; to see how far it is, type: ssl status$"),
    ):
        registry.find("latest", experiment="pretrain", status="finished")
    run.status = "failed"
    registry.save(run)
    with pytest.raises(StateError, match=r"there is no finished pretrain run .*; to make one, type: ssl pretrain$"):
        registry.find("latest", experiment="pretrain", status="finished")
