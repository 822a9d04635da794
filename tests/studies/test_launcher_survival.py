"""A study on two processes survives: a killed job, a closed terminal, a killed launcher, and a second launcher beside it."""

import json
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sslcli.models import BACKBONES, Backbone
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests import forked, survival
from tests.conftest import Cli, Once
from tests.measuring import PATIENCE, wait_until
from tests.studies.presets import write_preset

LINE = "study --preset small.yaml"


@pytest.fixture
def listed(ssl: Cli, registry: Registry, once: Once[list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs of a small study, which are entered and not begun; jobs.json holds them."""
    monkeypatch.setitem(BACKBONES, "resnet9-small", Backbone("tests.survival:narrow"))
    monkeypatch.setattr("sslcli.studies.study.save_pictures", lambda *_: None)
    monkeypatch.setattr("sslcli.report.page.quality_figures", lambda *_: [])
    write_preset(registry.root, "probe: {epochs: 30}", pretrain="epochs: 30, knn_every: 0")

    def enter() -> list[str]:
        found = ssl(f"{LINE} --plan --format json")
        assert found.code == 0, found.err
        fields = ("run", "folder", "needs", "device", "minutes")
        jobs = [{name: job[name] for name in fields} for job in json.loads(found.out)]
        (registry.root / "runs" / "jobs.json").write_text(json.dumps(jobs))
        return [str(job["run"]) for job in jobs]

    ids = once(enter)
    (registry.root / "runs" / "jobs.json").rename(registry.root / "jobs.json")
    return ids


def start(registry: Registry) -> BaseProcess:
    process = forked.process(survival.launch_jobs, str(registry.root))
    process.start()
    return process


def finish(process: BaseProcess) -> int | None:
    process.join(PATIENCE)
    return process.exitcode


def records(registry: Registry) -> dict[str, Run]:
    return {run.id: registry.load(run) for run in registry.runs()}


def at_a_step(registry: Registry, run: str) -> int:
    """The process of a run, once it has saved a step."""
    found = registry.find(run)
    wait_until((registry.path(found.folder) / "checkpoints" / "last.pt").exists)
    beat = registry.heartbeat(found)
    assert beat is not None
    return beat.process


def numbers(registry: Registry) -> dict[tuple[object, ...], dict[str, float]]:
    """The metrics of each run but for its seconds."""
    return {
        (run.experiment, run.init): {name: value for name, value in run.metrics.items() if name != "seconds"}
        for run in records(registry).values()
    }


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, object]:
    """The numbers of the study, of the first test that did it."""
    return {}


def hold_to(undisturbed: dict[str, object], registry: Registry) -> None:
    """Every run is finished, with the numbers of every other test of this file."""
    assert {run.status for run in records(registry).values()} == {"finished"}
    assert undisturbed.setdefault("numbers", numbers(registry)) == numbers(registry)
    assert not [path for name in (".ticket", "*.launcher", "*.unfinished") for path in registry.root.rglob(name)]


def test_in_this_process_the_study_has_these_numbers(
    ssl: Cli, registry: Registry, listed: list[str], undisturbed: dict[str, object]
) -> None:
    done = ssl(LINE)
    assert done.code == 0, done.err
    assert list(records(registry)) == listed
    hold_to(undisturbed, registry)


def test_a_job_that_is_killed_goes_on_and_the_study_has_the_same_numbers(
    registry: Registry, listed: list[str], undisturbed: dict[str, object]
) -> None:
    launcher = start(registry)
    os.kill(at_a_step(registry, listed[0]), signal.SIGKILL)
    assert finish(launcher) == 0
    assert "ended before it was done (SIGKILL); it goes on" in (registry.root / "output.txt").read_text()
    assert len(records(registry)[listed[0]].attempts) == 2
    hold_to(undisturbed, registry)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_launcher_that_is_hung_up_or_asked_to_end_has_its_jobs_saved_and_the_study_goes_on(
    ssl: Cli, registry: Registry, listed: list[str], undisturbed: dict[str, object], number: signal.Signals, code: int
) -> None:
    launcher = start(registry)
    process = at_a_step(registry, listed[0])
    os.kill(launcher.pid or 0, number)
    assert finish(launcher) == code
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    stopped = records(registry)
    assert stopped[listed[0]].attempts[-1].get("status") in ("interrupted", "finished")
    assert "to go on with the rest, type the study again" in (registry.root / "output.txt").read_text()
    again = ssl(LINE)
    assert again.code == 0, again.err
    for name, run in records(registry).items():
        was = stopped[name]
        assert len(run.attempts) == len(was.attempts) + (was.status != "finished")
    hold_to(undisturbed, registry)


def test_the_jobs_of_a_killed_launcher_go_on_and_the_next_one_awaits_them_and_does_the_rest(
    registry: Registry, listed: list[str], undisturbed: dict[str, object]
) -> None:
    launcher = start(registry)
    at_a_step(registry, listed[0])
    launcher.kill()
    finish(launcher)
    assert finish(start(registry)) == 0
    attempts = [run.attempts for run in records(registry).values()]
    errors = [run.error for run in records(registry).values()]
    assert list(map(len, attempts)) == [1, 1, 1], (attempts, errors)
    hold_to(undisturbed, registry)


def test_two_launchers_at_once_share_the_jobs(registry: Registry, listed: list[str], undisturbed: dict[str, object]) -> None:
    assert [finish(launcher) for launcher in [start(registry), start(registry)]] == [0, 0]
    assert [len(run.attempts) for run in records(registry).values()] == [1] * len(listed)
    hold_to(undisturbed, registry)


@pytest.mark.usefixtures("listed")
def test_the_output_of_a_job_is_in_its_folder(registry: Registry) -> None:
    assert finish(start(registry)) == 0
    for run in records(registry).values():
        assert f"wrote {run.folder}" in Path(registry.path(run.folder) / "output.txt").read_text()
