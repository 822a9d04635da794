"""Locks hold between processes, also where the file system has none, and nothing that only reads needs one."""

import errno
import fcntl
import json
import multiprocessing
import os
import platform
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sslcli import locks
from sslcli.data.folder import picture_cache
from sslcli.errors import StateError
from sslcli.locks import HeldError, is_held, locked
from sslcli.runs.registry import Registry
from tests.conftest import TINY, Cli
from tests.data.test_folder import in_cache, pictures  # noqa: F401  (a fixture)

FORKS = multiprocessing.get_context("fork")
REFUSALS = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL", "EPERM")


@pytest.fixture(params=["flock", *REFUSALS])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One whose flock(2) works, and those that answer with an error."""
    if request.param != "flock":
        refuse(monkeypatch, request.param)
    return str(request.param)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str = "ENOSYS") -> None:
    def flock(*_: object) -> None:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture
def holder() -> Iterator[Callable[[Path], int]]:
    """Has another process take a lock and keep it; returns its number."""
    started = []

    def hold(path: Path) -> int:
        ours, theirs = FORKS.Pipe()

        def keep() -> None:
            with locked(path, timeout=0):
                theirs.send("held")
                signal.pause()

        process = FORKS.Process(target=keep)
        process.start()
        started.append(process)
        assert ours.recv() == "held"
        return process.pid or 0

    yield hold
    for process in started:
        process.kill()
        process.join()


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    next(child for child in multiprocessing.active_children() if child.pid == process).join()


@pytest.mark.usefixtures("file_system")
def test_a_lock_that_another_process_has_is_refused_and_that_of_a_dead_one_taken(
    tmp_path: Path, holder: Callable[[Path], int]
) -> None:
    path = tmp_path / "below" / ".lock"
    process = holder(path)
    assert is_held(path)
    with pytest.raises(HeldError), locked(path, timeout=0):
        pass
    kill(process)
    assert not is_held(path)
    for _ in range(2):
        with locked(path, timeout=0):
            assert is_held(path)
            with pytest.raises(HeldError), locked(path, timeout=0):
                pass
            assert is_held(path)
    assert not is_held(path)
    assert [file.name for file in path.parent.iterdir()] == [".lock"]


def test_who_waits_gets_the_lock_when_it_is_let_go(file_system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".lock"
    first = locked(path, timeout=0)
    first.__enter__()
    monkeypatch.setattr(locks.time, "sleep", lambda _: first.__exit__(None, None, None))
    with locked(path, timeout=60):
        assert is_held(path), file_system


def test_without_locks_of_the_system_the_holder_is_named_and_the_file_to_delete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: Callable[[Path], int]
) -> None:
    refuse(monkeypatch)
    path = tmp_path / ".lock"
    process = holder(path)
    with (
        pytest.raises(HeldError, match=rf"process {process} on {platform.node()} .*delete {path}\.held"),
        locked(path, timeout=0),
    ):
        pass
    theirs = {"host": "elsewhere", "process": process, "started": "1", "token": "a"}
    for left in (json.dumps(theirs), "", "no record", "[]", '{"process": []}'):
        Path(f"{path}.held").write_text(left)
        with pytest.raises(HeldError, match=rf"delete {path}\.held"), locked(path, timeout=0):
            pass
        assert Path(f"{path}.held").read_text() == left


def test_a_process_of_the_same_number_that_began_later_is_not_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    path = tmp_path / ".lock"
    left = {"host": platform.node(), "process": os.getpid(), "started": "1", "token": "a"}
    Path(f"{path}.held").write_text(json.dumps(left))
    assert not is_held(path)
    with locked(path, timeout=0):
        assert is_held(path)


def test_a_machine_with_locks_heeds_one_that_has_none(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    Path(f"{path}.held").write_text(json.dumps({"host": "elsewhere", "process": 7, "started": "1", "token": "a"}))
    with pytest.raises(HeldError, match="process 7 on elsewhere"), locked(path, timeout=0):
        pass


def count_in(path: Path, times: int) -> None:
    for _ in range(times):
        with locked(path.with_name(".lock"), timeout=60):
            path.write_text(str(int(path.read_text()) + 1))


@pytest.mark.usefixtures("file_system")
def test_of_many_processes_one_at_a_time_has_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOOK_EVERY", 0.001)
    path = tmp_path / "count"
    path.write_text("0")
    processes = [FORKS.Process(target=count_in, args=(path, 20)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert path.read_text() == "80"


@pytest.mark.parametrize("name", REFUSALS)
def test_a_training_works_on_a_file_system_without_locks(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuse(monkeypatch, name)
    monkeypatch.setattr("sslcli.runs.registry.LOCK_TIMEOUT", 0)
    line = "runs note latest seen" if name != "ENOSYS" else f"pretrain {TINY} --max-steps 1"
    Registry(tmp_path).create("mine", experiment="pretrain", status="finished")
    result = ssl(line)
    assert result.code == 0, result.err
    assert not list(tmp_path.rglob("*.held"))


def test_a_run_that_is_worked_on_without_locks_is_said_to_be_so(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: Callable[[Path], int]
) -> None:
    refuse(monkeypatch)
    registry = Registry(tmp_path)
    run = registry.create("mine", experiment="pretrain", status="running")
    assert "interrupted" in ssl("runs list").out
    process = holder(tmp_path / run.folder / ".lock")
    assert "running" in ssl("runs list").out
    with pytest.raises(StateError, match=f"in use by process {process} on"), registry.claim(run):
        pass
    kill(process)
    assert "interrupted" in ssl("runs list").out
    with registry.claim(run):
        pass


def test_pictures_are_decoded_where_there_are_no_locks(
    pictures: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch)
    first = in_cache(pictures, tmp_path / "cache")
    assert in_cache(pictures, tmp_path / "cache").folder == first.folder
    monkeypatch.setattr(picture_cache, "PATIENCE", 0.0)
    key = first.folder.name
    first.folder.rename(first.folder.with_suffix(".aside"))
    with (
        locked(tmp_path / "cache" / f"{key}.lock", timeout=0),
        pytest.raises(StateError, match=rf"{key} is still being written"),
    ):
        in_cache(pictures, tmp_path / "cache")


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="file cannot be written"), locked(tmp_path / "file" / ".lock", timeout=0):
        pass
    refuse(monkeypatch)
    original = os.open

    def read_only(path: str | Path, flags: int, *mode: int) -> int:
        if str(path).endswith(locks.MARK):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return original(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    with (
        pytest.raises(StateError, match=r"\.lock\.held cannot be written: Read-only.*no locks of its own"),
        locked(tmp_path / ".lock", timeout=0),
    ):
        pass


@pytest.mark.parametrize("line", ["", "runs list", "runs show latest", "compare --all", "runs verify"])
def test_what_only_reads_writes_nothing_so_that_a_project_may_be_read_only(ssl: Cli, tmp_path: Path, line: str) -> None:
    registry = Registry(tmp_path)
    run = registry.create(
        "mine", experiment="linear_eval", protocol="linear", init="scratch", status="finished", metrics={"test_acc": 0.5}
    )
    registry.create("other", experiment="finetune", protocol="finetune", init="scratch", status="running")
    assert run.folder
    for lock in tmp_path.rglob(".lock"):
        lock.unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = ssl(line)
    assert result.code in (0, 3), result.err
    assert "cannot be written" not in result.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(("take", "kept"), [(fcntl.flock, True), (fcntl.lockf, False)])
def test_a_lock_of_flock_is_kept_where_its_process_opens_the_file_again_and_one_of_lockf_is_lost(
    tmp_path: Path, take: Callable[[int, int], None], kept: bool
) -> None:
    path = tmp_path / ".lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    take(file, fcntl.LOCK_EX)
    os.close(os.open(path, os.O_RDONLY))  # what any question for a run's status does
    ours, theirs = FORKS.Pipe()

    def take_too() -> None:
        try:
            take(os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
            theirs.send(False)
        except OSError:
            theirs.send(True)

    process = FORKS.Process(target=take_too)
    process.start()
    assert ours.recv() is kept
    process.join()
    os.close(file)
