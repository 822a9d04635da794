"""ssl status shows how the jobs of a study stand, and --watch does so until none is left, from any terminal."""

import json
import os
import pty
import select
import sys
from contextlib import ExitStack

import pytest

from sslcli.console.live import LiveTable
from sslcli.locks import locked
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies import states
from sslcli.studies.hands import at_work
from sslcli.studies.states import COLUMNS, State, foremost, summary
from tests.conftest import Cli


@pytest.fixture
def runs(registry: Registry) -> list[Run]:
    """Four runs of a study: finished, running here, failed, and entered but never begun."""
    made = [
        registry.create(name, experiment="pretrain", status=status, study="mine")
        for name, status in (("done", "finished"), ("busy", "running"), ("bad", "failed"), ("new", "interrupted"))
    ]
    for run in made[:3]:
        registry.beat(run)
    registry.beat(made[1], done=0.25, left=90.0)
    return made


def listed(ssl: Cli, line: str = "status") -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(ssl(f"{line} --format json").out)
    return found


def test_each_job_has_its_state_its_machine_and_its_progress(ssl: Cli, registry: Registry, runs: list[Run]) -> None:
    beat = registry.heartbeat(runs[1])
    assert beat is not None
    with locked(registry.path(f"{runs[1].folder}/.lock"), timeout=0):
        assert listed(ssl) == [
            {"job": runs[0].id, "state": "finished", "host": "", "done": None, "left": None},
            {"job": runs[1].id, "state": "running", "host": beat.host, "done": 0.25, "left": 90.0},
            {"job": runs[2].id, "state": "failed", "host": beat.host, "done": None, "left": None},
            {"job": runs[3].id, "state": "waiting", "host": "", "done": None, "left": None},
        ]
        shown = ssl("status --study mine")
    assert f"{runs[1].id}   running    {beat.host}" in shown.out
    assert "25%" in shown.out
    assert "1 min 30 s" in shown.out
    assert shown.err == "1 running, 1 failed, 1 waiting, 1 finished\n"
    assert listed(ssl)[1]["state"] == "interrupted"  # its process died


def test_watching_without_a_terminal_tells_each_change_while_a_study_is_at_work(
    ssl: Cli, registry: Registry, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = registry.load(runs[3])
    with ExitStack() as study:
        study.enter_context(at_work(registry))

        def later(_: float) -> None:
            registry.beat(new)
            new.status = "finished"
            registry.save(new)
            study.close()

        monkeypatch.setattr(states.time, "sleep", later)
        told = ssl("status --watch").err.splitlines()
    assert told[-2:] == [f"{new.id}: finished (2 of 4 finished)", "1 failed, 1 interrupted, 2 finished"]
    assert len(told) == 5


def test_of_a_study_that_there_is_not_status_names_those_that_there_are(ssl: Cli, runs: list[Run]) -> None:
    assert runs
    refused = ssl("status --study other")
    assert refused.code == 3
    assert "no study made here is called 'other'; there are: mine" in refused.err


def test_the_time_left_is_shared_among_those_at_work_and_unknown_if_one_is() -> None:
    known = [State("a", "running", left=60.0), State("b", "waiting", left=60.0), State("c", "finished")]
    assert summary(known, workers=2) == "1 running, 1 waiting, 1 finished; about 1 min 00 s left"
    assert summary(known, workers=1) == "1 running, 1 waiting, 1 finished; about 2 min 00 s left"
    assert summary([*known, State("d", "waiting")], workers=2) == "1 running, 2 waiting, 1 finished"


def test_what_runs_or_failed_comes_first_where_there_is_no_room_for_all() -> None:
    every = [State(name, name) for name in ("finished", "waiting", "interrupted", "failed", "running")]
    assert [state.job for state in foremost(every, 3)] == ["running", "failed", "interrupted"]


def test_on_a_terminal_the_table_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with LiveTable(COLUMNS) as table:
            assert table.drawn
            table.show([State("a", "running", "here", 0.5, 30.0).row()], "1 running")
            stream.flush()
            drawn = ""
            while "1 running" not in drawn and select.select([ours], [], [], 30)[0]:
                drawn += os.read(ours, 65536).decode()  # a piece of it
    os.close(ours)
    for part in ("job", "state", "host", "progress", "left", "running", "50%", "30 s", "1 running"):
        assert part in drawn


def test_a_run_that_was_never_begun_is_waiting_for_every_command_and_interrupted_in_its_record(
    ssl: Cli, registry: Registry, runs: list[Run]
) -> None:
    new = runs[3].id
    assert "1 waiting pretrain" in ssl("").out
    assert "interrupted" not in (shown := ssl("runs list").out).splitlines()[-1]
    assert "waiting" in shown
    assert {run["run"]: run["status"] for run in listed(ssl, "runs list")}[new] == "waiting"
    assert [line.split(",")[3] for line in ssl("runs list --format csv").out.splitlines() if line.startswith(new)] == [
        "waiting"
    ]
    assert json.loads(ssl(f"runs show {new} --format json").out)["status"] == "waiting"
    assert "status: waiting" in ssl(f"runs show {new}").out
    assert {job["job"]: job["state"] for job in listed(ssl)}[new] == "waiting"
    assert registry.load(runs[3]).status == "interrupted"  # older versions open the project, too


@pytest.mark.parametrize("name", [".heartbeat", "checkpoints/last.pt"])
def test_a_run_with_a_heartbeat_or_a_checkpoint_was_begun(ssl: Cli, registry: Registry, runs: list[Run], name: str) -> None:
    file = registry.path(f"{runs[3].folder}/{name}")
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"host": "a", "process": 1, "at": "2026-01-01T00:00:00+00:00"}')
    assert {job["job"]: job["state"] for job in listed(ssl)}[runs[3].id] == "interrupted"
    assert {run["run"]: run["status"] for run in listed(ssl, "runs list")}[runs[3].id] == "interrupted"
