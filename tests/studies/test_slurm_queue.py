"""How many jobs Slurm gets, and what becomes of them if it refuses some or does not answer: no Slurm is needed."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sslcli.errors import StateError
from sslcli.studies.places import slurm
from sslcli.studies.places.place import Job
from sslcli.studies.places.slurm import Slurm, SlurmRequest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The lines that Slurm's programs are called with; they print nothing, and all that scancel is first asked fails."""
    lines: list[tuple[str, ...]] = []

    def answer(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        first = program == "scancel" and not any(line[0] == program for line in lines)
        lines.append((program, *arguments))
        return subprocess.CompletedProcess([program], returncode=int(first), stdout="", stderr="")

    monkeypatch.setattr(slurm, "_asked", answer)
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.0)
    return lines


class Counting(Slurm):
    """Submits nothing: job a gets the ticket "of a". With `most` arrays it refuses the next."""

    most, arrays = 10, 0

    def _submit(self, jobs: list[Job]) -> None:
        if self.arrays == self.most:
            raise StateError("Slurm does not take the jobs")
        self.arrays += 1
        self._here |= {job.run: f"of {job.run}" for job in jobs}


def jobs(names: Sequence[str]) -> list[Job]:
    return [Job(run=name, folder=f"runs/knn/{name}") for name in names]


def test_there_is_room_for_what_may_be_queued_less_what_is(tmp_path: Path) -> None:
    place = Counting(tmp_path, SlurmRequest(queued=5))
    assert place.room() == 5
    place.start(jobs("abc"))
    assert place.room() == 2


def test_if_an_array_is_refused_the_others_of_the_same_start_are_cancelled_and_older_jobs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    monkeypatch.setattr(slurm, "LARGEST_ARRAY", 2)
    place = Counting(tmp_path, SlurmRequest())
    place.start(jobs("a"))
    place.most = 2
    with pytest.raises(StateError):
        place.start(jobs("bcde"))
    assert asked == [("scancel", "of b", "of c")]
    assert place.room() == SlurmRequest().queued - 1


def test_the_end_of_the_place_asks_slurm_again_if_it_did_not_take_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    place = Counting(tmp_path, SlurmRequest())
    place.start(jobs("ab"))
    looks = iter([False])  # at first squeue, too, does not answer
    original = Slurm._look
    monkeypatch.setattr(Slurm, "_look", lambda self: next(looks, None) is None and original(self))
    place.end()
    assert [line for line in asked if line[0] == "scancel"] == [("scancel", "of a", "of b")] * 2
    assert not place.ended()
