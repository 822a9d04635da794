"""--on local:N: N processes, each held to its share of the cores, in sessions of their own."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sslcli.errors import StateError
from sslcli.studies.places.local import Local
from sslcli.studies.places.place import Ended, Job, ended_with
from sslcli.training import device
from tests.measuring import wait_until


@dataclass(frozen=True, kw_only=True)
class Shell(Job):
    """A job whose command is a line of the shell."""

    line: str

    def words(self, project: Path, *, python: str = "") -> list[str]:  # noqa: ARG002
        return ["/bin/sh", "-c", self.line]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Shell]:
    for name in device.THREADS:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "runs").mkdir()
    return Shell


def said(tmp_path: Path, job: Job) -> str:
    return job.output(tmp_path).read_text()


def ended(place: Local, count: int) -> dict[str, tuple[str, int | None]]:
    found: list[Ended] = []

    def look() -> bool:
        found.extend(place.ended())
        return len(found) >= count

    wait_until(look)
    return {end.run: (end.why, end.code) for end in found}


@pytest.mark.parametrize(("processes", "cores", "threads"), [(1, 8, 8), (2, 8, 4), (3, 8, 2), (9, 8, 1)])
def test_each_process_has_its_share_of_the_threads(
    tmp_path: Path, job: type[Shell], monkeypatch: pytest.MonkeyPatch, processes: int, cores: int, threads: int
) -> None:
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    place = Local(tmp_path, processes=processes)
    asking = job(run="a", folder="runs", line="echo $OMP_NUM_THREADS $MKL_NUM_THREADS")
    place.start([asking])
    ended(place, 1)
    assert said(tmp_path, asking) == f"{threads} {threads}\n"


def test_a_number_of_threads_that_the_person_set_is_not_exceeded(
    tmp_path: Path, job: type[Shell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    place = Local(tmp_path, processes=2)
    asking = job(run="a", folder="runs", line="echo $OMP_NUM_THREADS $MKL_NUM_THREADS")
    place.start([asking])
    ended(place, 1)
    assert said(tmp_path, asking) == "2 2\n"


def test_a_place_has_room_until_it_has_n_processes_and_says_how_each_ended(tmp_path: Path, job: type[Shell]) -> None:
    place = Local(tmp_path, processes=3)
    lines = {"done": "exit 0", "refused": "exit 3", "killed": "kill -9 $$"}
    tickets = place.start([job(run=run, folder="runs", line=line) for run, line in lines.items()])
    assert place.room() == 0
    assert all(ticket.isdecimal() for ticket in tickets)
    assert ended(place, 3) == {"done": ("code 0", 0), "refused": ("code 3", 3), "killed": ("SIGKILL", None)}
    assert place.room() == 3
    assert place.ended() == []


def test_what_a_job_prints_is_added_to_its_file(tmp_path: Path, job: type[Shell]) -> None:
    place = Local(tmp_path, processes=1)
    talking = job(run="a", folder="runs", line="echo out; echo err >&2")
    for _ in range(2):
        place.start([talking])
        ended(place, 1)
    assert said(tmp_path, talking) == "out\nerr\n" * 2


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is missing")
def test_ctrl_c_at_the_terminal_reaches_no_job(tmp_path: Path, job: type[Shell]) -> None:
    place = Local(tmp_path, processes=1)
    asking = job(run="a", folder="runs", line="ps -o sid= -p $$")
    place.start([asking])
    ended(place, 1)
    assert int(said(tmp_path, asking)) != os.getsid(0)


def test_the_end_of_a_place_asks_each_job_to_save_and_waits_for_it(tmp_path: Path, job: type[Shell]) -> None:
    place = Local(tmp_path, processes=2)
    lines = "trap 'echo saved; exit 143' TERM; echo ready; while :; do sleep 0.01; done"
    working = [job(run=name, folder=f"runs/{name}", line=lines) for name in "ab"]
    for one in working:
        (tmp_path / one.folder).mkdir()
    place.start(working)
    wait_until(lambda: all(said(tmp_path, one) == "ready\n" for one in working))
    place.end()
    assert [said(tmp_path, one) for one in working] == ["ready\nsaved\n"] * 2


def test_a_job_that_cannot_be_started_is_named_with_the_reason_and_what_to_type(tmp_path: Path, job: type[Shell]) -> None:
    place = Local(tmp_path, processes=2)
    with pytest.raises(StateError, match=r"b cannot be started on this machine: .*gone.*; .*type the study again"):
        place.start([job(run="a", folder="runs", line="exit 0"), job(run="b", folder="runs/gone", line="exit 0")])
    assert ended(place, 1) == {"a": ("code 0", 0)}  # what was started before is not lost


@pytest.mark.parametrize(
    ("code", "why", "kept"), [(0, "code 0", 0), (3, "code 3", 3), (-9, "SIGKILL", None), (-40, "signal 40", None)]
)
def test_the_end_of_a_process_is_a_code_or_the_name_of_a_signal(code: int, why: str, kept: int | None) -> None:
    assert ended_with("a", code) == Ended("a", why, kept)
