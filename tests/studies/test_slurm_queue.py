"""How many jobs Slurm gets, and what becomes of them if it refuses some or does not answer: no Slurm is needed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from sslcli.errors import StateError
from sslcli.studies.places import slurm
from sslcli.studies.places.place import Job
from sslcli.studies.places.slurm import Slurm, SlurmRequest

NOT_AT_FIRST = '[ "$(wc -l < {log})" -gt 1 ]'


@pytest.fixture
def cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what scancel was called with. It fails the first time, and so does squeue, which shows an empty queue."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("scancel", "squeue"):
        log = tmp_path / name
        (programs / name).write_text(f'#!/bin/sh\necho "$*" >> {log}\n{NOT_AT_FIRST.format(log=log)}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.0)
    return tmp_path / "scancel"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the arrays that Slurm took: two at most. The first has the tickets 1_0, 1_1, and so on."""
    sizes: list[int] = []

    class RefusedError(Exception):
        pass

    class Executor:
        def __init__(self, *_: object, **__: object) -> None: ...
        def update_parameters(self, **_: object) -> None: ...
        def submit_array(self, works: Sequence[object]) -> list[SimpleNamespace]:
            if len(sizes) == 2:
                raise RefusedError("sbatch: error: QOSMaxSubmitJobPerUserLimit")
            sizes.append(len(works))
            return [SimpleNamespace(job_id=f"{len(sizes)}_{number}") for number in range(len(works))]

    utils = SimpleNamespace(FailedJobError=RefusedError)
    fake = SimpleNamespace(SlurmExecutor=Executor, core=SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "submitit", fake)  # type: ignore[arg-type]
    return sizes


def jobs(names: str) -> list[Job]:
    return [Job(run=name, folder=f"runs/knn/{name}") for name in names]


@pytest.mark.usefixtures("taken")
def test_there_is_room_for_what_may_be_queued_less_what_is(tmp_path: Path) -> None:
    place = Slurm(tmp_path, SlurmRequest(queued=5))
    assert place.room() == 5
    assert place.start(jobs("abc")) == ["1_0", "1_1", "1_2"]
    assert place.room() == 2


def test_if_an_array_is_refused_the_others_of_the_same_start_are_cancelled_and_older_jobs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: Path, taken: list[int]
) -> None:
    monkeypatch.setattr(slurm, "LARGEST_ARRAY", 2)
    place = Slurm(tmp_path, SlurmRequest())
    place.start(jobs("a"))
    with pytest.raises(StateError, match=r"QOSMaxSubmitJobPerUserLimit; change --job .*--job queued=100.*type the study again"):
        place.start(jobs("bcde"))
    assert taken == [1, 2]
    assert cancelled.read_text() == "2_0 2_1\n"
    assert place.room() == SlurmRequest().queued - 1


@pytest.mark.usefixtures("taken")
def test_the_end_of_the_place_asks_slurm_again_if_it_did_not_take_the_first_request(tmp_path: Path, cancelled: Path) -> None:
    place = Slurm(tmp_path, SlurmRequest())
    place.start(jobs("ab"))
    place.end()
    assert cancelled.read_text() == "1_0 1_1\n" * 2
    assert not place.ended()


@pytest.mark.usefixtures("cancelled")
def test_while_slurm_does_not_answer_no_job_is_taken_for_one_that_has_left_the_queue(tmp_path: Path) -> None:
    (job,) = jobs("a")
    place = Slurm(tmp_path, SlurmRequest())
    with pytest.raises(StateError, match="Slurm does not answer, and its queue may still have a of an earlier launcher"):
        place.adopt(job, "1_0")
    assert place.adopt(job, "1_0") is False  # the second answer is an empty queue
