"""The launcher gives each job to a place once its needs are finished, tries a killed one again, and repeats nothing."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from sslcli.errors import Interrupted, StateError
from sslcli.locks import is_held, locked
from sslcli.runs.heartbeat import Heartbeat
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies import launcher
from sslcli.studies.hands import Hands, at_work
from sslcli.studies.launcher import launch
from sslcli.studies.places.place import Ended, Job
from tests.studies.stub_place import Stub


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LOOK_EVERY", 0.0)


@pytest.fixture
def jobs(registry: Registry) -> list[Job]:
    """Two pretrainings, each with two evaluations."""
    return enter(registry, count=2)


def enter(registry: Registry, *, count: int) -> list[Job]:
    found = []
    for number in range(count):
        parent = registry.create(f"pretrain-{number}", experiment="pretrain", status="interrupted", study="s")
        found.append(Job(run=parent.id, folder=parent.folder))
        for kind in ("knn", "finetune"):
            run = registry.create(f"{kind}-{number}", experiment=kind, status="interrupted", study="s", parent=parent.id)
            found.append(Job(run=run.id, folder=run.folder, needs=(parent.id,)))
    return found


def status_of(registry: Registry) -> list[str]:
    return [run.status for run in registry.runs()]


def tickets(registry: Registry) -> list[Path]:
    return [*registry.root.rglob(".ticket"), *registry.root.rglob("*.launcher")]


def test_a_job_starts_once_its_needs_are_finished_and_as_many_at_once_as_there_is_room(
    registry: Registry, jobs: list[Job]
) -> None:
    place = Stub(registry, room=3)
    with at_work(registry) as hands:
        launch(hands, jobs, place, key="stub")
    needs = {job.run: job.needs for job in jobs}
    assert sorted(place.started) == sorted(needs)
    for position, run in enumerate(place.started):
        assert set(needs[run]) <= set(place.started[:position])
    assert place.batches == [2, 3, 1]
    assert status_of(registry) == ["finished"] * 6
    assert not tickets(registry)


def test_a_study_whose_jobs_are_done_starts_none(registry: Registry, jobs: list[Job]) -> None:
    for _ in range(2):
        place = Stub(registry)
        with at_work(registry) as hands:
            launch(hands, jobs, place, key="stub")
    assert place.started == []


def test_a_job_that_was_killed_is_tried_three_times_and_the_rest_is_done(registry: Registry, jobs: list[Job]) -> None:
    killed = jobs[1].run
    place = Stub(registry, outcome=lambda run, tried: "interrupted" if run == killed and tried < 3 else "finished")
    with at_work(registry) as hands:
        launch(hands, jobs, place, key="stub")
    assert place.started.count(killed) == 3
    assert len(place.started) == 6 + 2
    assert status_of(registry) == ["finished"] * 6


def test_a_job_that_failed_is_not_tried_again_and_is_named_with_what_needs_it(registry: Registry, jobs: list[Job]) -> None:
    failing = jobs[0].run
    place = Stub(registry, outcome=lambda run, _: "failed" if run == failing else "finished")
    with at_work(registry) as hands, pytest.raises(StateError) as refused:
        launch(hands, jobs, place, key="stub")
    assert str(refused.value) == (
        "1 of 6 jobs failed; 2 jobs that need them were left; to try them again, type the study again:\n"
        f"  {failing}: it went wrong"
    )
    assert len(place.started) == 4
    with at_work(registry) as hands:
        launch(hands, jobs, again := Stub(registry), key="stub")
    assert sorted(again.started) == sorted(job.run for job in jobs[:3])


def test_a_job_that_never_began_is_named_with_the_last_lines_that_it_printed(registry: Registry, jobs: list[Job]) -> None:
    class Refused(Stub):
        def ended(self) -> list[Ended]:
            for job in self.here:
                job.output(self.registry.root).write_text("loading\nssl: no such data\n")
            found, self.here = [Ended(job.run, "code 3", 3) for job in self.here], []
            return found

    run = registry.load(registry.find(jobs[0].run))
    for status, error in ((run.status, None), ("failed", "an error of long ago")):
        run.status, run.error, run.attempts = status, error, [{"status": "failed"}] if error else []
        registry.save(run)
        with at_work(registry) as hands, pytest.raises(StateError, match="code 3; loading / ssl: no such data"):
            launch(hands, jobs[:1], place := Refused(registry), key="stub")
        assert len(place.started) == 1


def test_a_job_that_another_living_launcher_has_is_awaited_and_never_started(registry: Registry, jobs: list[Job]) -> None:
    theirs = registry.find(jobs[0].run)
    with at_work(registry) as other, at_work(registry) as hands:
        other.take(theirs, "stub")
        looks = 0

        class Watched(Stub):
            def ended(self) -> list[Ended]:
                nonlocal looks
                looks += 1
                if looks == 5:  # the other launcher's job ends
                    theirs.status = "finished"
                    registry.save(theirs)
                    other.drop(theirs.id)
                return super().ended()

        launch(hands, jobs, place := Watched(registry), key="stub")
    assert theirs.id not in place.started
    assert sorted(place.started) == sorted(job.run for job in jobs[1:])


def test_the_jobs_of_a_dead_launcher_are_free_at_once(registry: Registry, jobs: list[Job]) -> None:
    Hands(registry, "dead").take(registry.find(jobs[0].run), "stub", called="gone")
    with at_work(registry) as hands:
        launch(hands, jobs, place := Stub(registry), key="stub")
    assert len(place.started) == 6


@pytest.mark.parametrize(("key", "adopted"), [("stub", True), ("elsewhere", False)])
def test_a_job_that_is_still_at_its_place_is_taken_over_by_the_next_launcher(
    registry: Registry, jobs: list[Job], key: str, adopted: bool
) -> None:
    run = registry.find(jobs[0].run)
    Hands(registry, "dead").take(run, key, called="ticket of it")
    place = Stub(registry)
    place.adoptable = {"ticket of it"}
    with at_work(registry) as hands:
        launch(hands, jobs, place, key="stub")
    assert (run.id not in place.started) == adopted
    assert status_of(registry) == ["finished"] * 6


@pytest.mark.parametrize(("outlives", "code", "ends"), [(False, 129, True), (True, 129, False), (True, 130, True)])
def test_a_closed_terminal_leaves_jobs_that_outlive_it_and_ctrl_c_ends_all(
    registry: Registry, jobs: list[Job], outlives: bool, code: int, ends: bool
) -> None:
    class Stopped(Stub):
        def ended(self) -> list[Ended]:
            raise Interrupted({129: 1, 130: 2}[code])

    place = Stopped(registry, room=2)
    place.outlives = outlives
    with at_work(registry) as hands, pytest.raises(Interrupted):
        launch(hands, jobs, place, key="stub")
    assert place.was_ended == ends
    assert len([*registry.root.rglob(".ticket")]) == (0 if ends else 2)


def test_a_job_that_runs_on_a_dead_machine_is_begun_again_once_its_heartbeat_stands_still(
    registry: Registry, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**6, 50))
    monkeypatch.setattr("sslcli.studies.hands.time.monotonic", lambda: next(clock))
    run = registry.load(registry.find(jobs[0].run))
    run.status = "running"
    registry.save(run)
    beat = registry.path(f"{run.folder}/.heartbeat")
    beat.write_text('{"host": "elsewhere", "process": 1, "at": "1999-01-01T00:00:00Z"}')  # its clock is years behind
    with at_work(registry) as hands:
        assert [hands.is_busy(run) for _ in range(3)] == [True] * 3
        beat.write_text('{"host": "elsewhere", "process": 1, "at": "1999-01-01T00:00:10Z"}')
        assert [hands.is_busy(run) for _ in range(4)] == [True] * 3 + [False]
        launch(hands, jobs[:1], place := Stub(registry), key="stub")
    assert place.started == [run.id]


def test_a_running_job_whose_lock_is_held_is_never_taken_for_dead(
    registry: Registry, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr("sslcli.studies.hands.time.monotonic", lambda: next(clock))
    run = registry.load(registry.find(jobs[0].run))
    run.status = "running"
    registry.save(run)
    registry.path(f"{run.folder}/.heartbeat").write_text('{"host": "elsewhere", "process": 1, "at": "2026-01-01T00:00:00Z"}')
    with at_work(registry) as hands, locked(registry.path(f"{run.folder}/.lock"), timeout=0):
        assert [hands.is_busy(run) for _ in range(5)] == [True] * 5


def test_without_a_terminal_each_change_of_a_job_is_a_line(
    registry: Registry, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    with at_work(registry) as hands:
        launch(hands, jobs[:3], Stub(registry), key="stub")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"{jobs[0].run}: finished (1 of 3 finished)",
        f"{jobs[1].run}: finished (3 of 3 finished)",
        f"{jobs[2].run}: finished (3 of 3 finished)",
    ]


def test_a_job_of_a_dead_launcher_that_finishes_while_it_is_looked_at_is_not_begun_again(
    registry: Registry, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = registry.load(registry.find(jobs[0].run))
    run.status = "running"
    registry.beat(run)
    registry.save(run)
    original = Hands.is_busy

    def finishes(self: Hands, looked_at: Run) -> bool:
        if looked_at.id == run.id and run.status == "running":
            run.status = "finished"
            registry.save(run)
        return original(self, looked_at)

    monkeypatch.setattr(Hands, "is_busy", finishes)
    with at_work(registry) as hands:
        launch(hands, jobs[:1], place := Stub(registry), key="stub")
    assert place.started == []
    assert registry.load(run).status == "finished"


def test_giving_up_a_run_that_has_finished_leaves_it_finished(registry: Registry, jobs: list[Job]) -> None:
    run = registry.find(jobs[0].run)
    run.status = "finished"
    registry.save(run)
    run.status = "running"  # as it was seen before
    assert registry.give_up(run).status == "finished"
    assert registry.find(run.id).status == "finished"


def test_a_job_that_is_killed_before_it_begins_is_tried_three_times(registry: Registry, jobs: list[Job]) -> None:
    class Killed(Stub):
        def ended(self) -> list[Ended]:
            found, self.here = [Ended(job.run, "SIGKILL") for job in self.here], []
            return found

    with at_work(registry) as hands, pytest.raises(StateError, match="SIGKILL; it printed nothing"):
        launch(hands, jobs[:1], place := Killed(registry), key="stub")
    assert len(place.started) == 3


def test_a_signal_while_jobs_are_given_to_a_place_takes_effect_when_the_place_has_them(
    registry: Registry, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    class Asked(Stub):
        def start(self, jobs: Sequence[Job]) -> list[str]:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().start(jobs)

    with (
        at_work(registry) as hands,
        pytest.raises(Interrupted, match="SIGTERM; to go on with the rest, type") as told,
    ):
        launch(hands, jobs, place := Asked(registry), key="stub")
    assert told.value.exit_code == 143
    assert [job.run for job in place.here] == place.started == [jobs[0].run, jobs[3].run]
    assert place.was_ended
    assert "2 jobs save and end; press Ctrl-C again only if" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_needs_a_job_that_needs_a_failed_one_is_left(registry: Registry, jobs: list[Job]) -> None:
    run = registry.create("last", experiment="knn", status="interrupted", study="s")
    chain = [jobs[0], jobs[1], Job(run=run.id, folder=run.folder, needs=(jobs[1].run,))]
    place = Stub(registry, outcome=lambda *_: "failed")
    with at_work(registry) as hands, pytest.raises(StateError, match="1 of 3 jobs failed; 2 jobs that need them were left"):
        launch(hands, chain, place, key="stub")
    assert place.started == [jobs[0].run]


def test_a_job_that_had_begun_before_and_is_refused_now_is_named_at_once(registry: Registry, jobs: list[Job]) -> None:
    class Refused(Stub):
        def ended(self) -> list[Ended]:
            found, self.here = [Ended(job.run, "code 3", 3) for job in self.here], []
            return found

    run = registry.load(registry.find(jobs[0].run))
    run.attempts = [{"status": "interrupted"}]
    registry.beat(run)
    registry.save(run)
    with at_work(registry) as hands, pytest.raises(StateError, match="code 3; it printed nothing"):
        launch(hands, jobs[:1], place := Refused(registry), key="stub")
    assert len(place.started) == 1


def test_a_job_is_taken_over_while_no_other_launcher_can_take_it(registry: Registry, jobs: list[Job]) -> None:
    held: list[bool] = []

    class Watched(Stub):
        def adopt(self, job: Job, ticket: str) -> bool:
            held.append(is_held(registry.path("runs/.launchers/.lock")))
            return super().adopt(job, ticket)

    Hands(registry, "dead").take(registry.find(jobs[0].run), "stub", called="ticket of it")
    with at_work(registry) as hands:
        launch(hands, jobs, Watched(registry), key="stub")
    assert held == [True]


def test_of_jobs_that_wait_nothing_is_read_again(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, asked = enter(registry, count=8), Counter[str]()
    original = Registry.heartbeat

    def heartbeat(self: Registry, run: Run) -> Heartbeat | None:
        asked[run.id] += 1
        return original(self, run)

    monkeypatch.setattr(Registry, "heartbeat", heartbeat)
    with at_work(registry) as hands:
        launch(hands, jobs, place := Stub(registry, room=1), key="stub")
    assert len(place.batches) == len(jobs)
    assert max(asked.values()) <= 3  # when it is first shown, when it is given, and while it is there


def test_a_job_that_was_killed_is_shown_as_interrupted_and_no_longer_as_waiting(
    registry: Registry, jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(Stub):
        def room(self) -> int:
            return int(len(self.started) < 2)

        def ended(self) -> list[Ended]:
            found = super().ended()
            if not found:
                raise Interrupted(2)
            return found

    place = Full(registry, outcome=lambda *_: "interrupted")
    with at_work(registry) as hands, pytest.raises(Interrupted):
        launch(hands, jobs[:1], place, key="stub")
    assert f"{jobs[0].run}: interrupted on" in capsys.readouterr().err


@pytest.mark.parametrize("taken", ["starting", "submitted"])
def test_a_job_that_has_not_begun_is_called_as_its_place_says(
    registry: Registry, jobs: list[Job], capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    class Queue(Stub):
        looks = 0

        def ended(self) -> list[Ended]:
            self.looks += 1
            return super().ended() if self.looks > 1 else []

    place = Queue(registry)
    place.taken = taken
    with at_work(registry) as hands:
        launch(hands, jobs[:1], place, key="stub")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{jobs[0].run}: ")]
    assert said == [f"{jobs[0].run}: {taken} (0 of 1 finished)", f"{jobs[0].run}: finished (1 of 1 finished)"]


def test_a_run_that_a_process_holds_is_not_given_up(registry: Registry, jobs: list[Job]) -> None:
    run = registry.load(registry.find(jobs[0].run))
    run.status = "running"
    registry.save(run)
    with registry.claim(run):
        assert registry.give_up(run).status == "running"
    assert registry.find(run.id).status == "running"
    assert registry.give_up(run).status == "interrupted"
