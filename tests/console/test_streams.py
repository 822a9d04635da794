"""Who reads results and messages may go away, and may not know every character: the work goes on."""

import errno
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sslcli.console import streams
from sslcli.console.streams import lasting
from sslcli.errors import StateError
from sslcli.files import write_text
from sslcli.runs.index import index_text
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests import forked, survival
from tests.conftest import TINY
from tests.whole.test_survival import finish, newest, wait_until

BIN = Path(sys.executable).parent
LINE = f"pretrain {TINY} --epochs 2"
LISTS = (
    "--help",
    "pretrain --help",
    "",
    "--version",
    "runs list",
    "runs list --format json",
    "compare --format csv",
    "nonsense",
)


def start(folder: Path, line: str, *, out: str, err: str, ignored: int = 0) -> BaseProcess:
    process = forked.process(survival.heard, str(folder), line, out, err, ignored)
    process.start()
    return process


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def finished(folder: Path) -> bool:
    run = newest(folder)
    return run is not None and run.status == "finished" and run.metrics["loss"] > 0


def test_a_training_goes_on_when_its_terminal_is_lost(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(tmp_path, LINE, out=os.ttyname(theirs), err=os.ttyname(theirs))
    assert os.read(ours, 1)
    os.close(theirs)
    os.close(ours)
    assert finish(process) == 0
    assert finished(tmp_path)


@pytest.mark.parametrize("both", [True, False], ids=["2>&1 |", "2> >()"])
def test_a_training_goes_on_when_the_reader_of_its_messages_ends(tmp_path: Path, pipe: Path, both: bool) -> None:
    process = start(tmp_path, LINE, out=str(pipe) if both else os.devnull, err=str(pipe))
    with pipe.open("rb") as reader:
        assert reader.readline()
    assert finish(process) == 0
    assert finished(tmp_path)


@pytest.mark.parametrize(("out", "err", "code"), [(os.devnull, "/dev/full", 0), ("/dev/full", "messages", 3)])
def test_a_full_disk_loses_messages_quietly_and_results_with_a_message(tmp_path: Path, out: str, err: str, code: int) -> None:
    (tmp_path / "messages").touch()
    assert finish(start(tmp_path, LINE, out=out, err=err)) == code
    assert finished(tmp_path)
    said = (tmp_path / "messages").read_text()
    assert ("ssl: the results cannot be written to stdout: No space left on device" in said) == (code == 3)
    assert "Traceback" not in said


def test_under_nohup_a_training_does_not_heed_the_end_of_its_session(tmp_path: Path) -> None:
    (tmp_path / "messages").touch()
    ends = start(tmp_path, f"pretrain {TINY} --epochs 3000", out=os.devnull, err="messages", ignored=signal.SIGHUP)
    wait_until(lambda: bool(list(tmp_path.glob("runs/*/*/.heartbeat"))))
    for number in (signal.SIGHUP, signal.SIGTERM):
        os.kill(ends.pid or 0, number)
    assert finish(ends) == 143
    assert "stopped by SIGTERM" in (tmp_path / "messages").read_text()


def typed(folder: Path, line: str, redirections: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a command; its exit code is that of `ssl`, not of what reads it."""
    command = f"set -o pipefail; {BIN / 'ssl'} {line} {redirections}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False,
        encoding="utf-8", errors="surrogateescape",
    )  # fmt: skip


IN_TURN = """
import json, os, shlex, subprocess, sys
from sslcli.cli import main

readers, lines = json.loads(sys.argv[1]), sys.argv[2:]
for line in lines:
    if child := os.fork():
        print(line, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sep=": ", flush=True)
        continue
    for reader, files in readers.items():
        pipe = subprocess.Popen(shlex.split(reader), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL).stdin
        for file in files:
            os.dup2(pipe.fileno(), file)
    main(shlex.split(line))  # and the child ends as Python ends
"""
"""Types each line in a child of its own that has imported the program already, with its streams piped into readers."""
ALL_IN_ONE = """
import shlex, sys
from sslcli.cli import main

for line in list(sys.argv[1:]):
    try:
        main(shlex.split(line))
    except SystemExit as stopped:
        print(f"\\n== code {stopped.code}")
        print(f"\\n== code {stopped.code}", file=sys.stderr)
"""
"""Types each line in the same process."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose names need more than ASCII, and more than Unicode has; more lines than a pipe holds."""
    registry = Registry(tmp_path_factory.mktemp("project"))
    for name in ("Käse ✗ ±", "日本"):
        registry.create("a", experiment="knn", protocol="knn", init="scratch", status="finished", name=name, note=name,
                        metrics={"test_acc": 0.5, "test_images": 10}, dataset="shapes", study="größe")  # fmt: skip
    many = [Run(id=f"r{number}", experiment="pretrain", status="finished", name="\udcff\ud800") for number in range(2000)]
    write_text(registry.index, index_text([*registry.runs(), *many]))
    return registry.root


@pytest.mark.parametrize(
    "readers",
    [{"head -1": [1]}, {"true": [1, 2]}, {"true": [1], "cat -A /dev/null": [2]}],
    ids=["| head -1", "2>&1 | true", "2> >(true) | true"],
)
def test_a_reader_that_has_read_enough_is_no_error(project: Path, readers: dict[str, list[int]]) -> None:
    program = [sys.executable, "-c", IN_TURN, json.dumps(readers), *LISTS]
    done = subprocess.run(program, cwd=project, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == [f"{line}: {2 * (line == 'nonsense')}" for line in LISTS]
    assert ("Traceback" in done.stderr, "Broken" in done.stderr) == (False, False), done.stderr


@pytest.fixture(scope="module")
def usual(project: Path) -> subprocess.CompletedProcess[str]:
    """What a command gives whose streams are open."""
    return typed(project, "compare --all", "")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error_and_get_nobody_elses_lines(
    project: Path, usual: subprocess.CompletedProcess[str], closed: str
) -> None:
    done = typed(project, "compare --all", closed)
    assert done.returncode == usual.returncode == 0
    assert done.stdout == ("" if ">&-" in closed.split() else usual.stdout)
    assert done.stderr == ("" if "2>&-" in closed.split() else usual.stderr)
    asked = typed(project, "runs rm r1", closed)
    assert (asked.returncode, "Traceback" in asked.stderr) == (3, False)


@pytest.mark.parametrize("line", ["", "--help", "runs list", "compare --all --format json"])
def test_results_on_a_full_disk_are_an_error_with_a_message(project: Path, line: str) -> None:
    done = typed(project, line, "> /dev/full")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("ssl: the results cannot be written to stdout: No space left")
    assert "Traceback" not in done.stderr


def test_a_wrong_command_is_one_too_where_its_message_has_no_room(project: Path) -> None:
    assert typed(project, "nonsense", "2> /dev/full").returncode == 2


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"PYTHONIOENCODING": "utf-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX"},
    ],
    ids=str,
)
def test_no_encoding_makes_a_character_an_error(project: Path, environment: dict[str, str]) -> None:
    lines = ["--help", "runs list", "runs list --format csv", "compare --all", "runs show Käse", "runs show ✗é"]
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_ONE, *lines], cwd=project, env={**os.environ, **environment}, capture_output=True,
        check=False, encoding="utf-8", errors="surrogateescape",
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    shown = dict(zip(lines, re.findall(r"(?s)(.*?)\n== code [023]\n", done.stdout), strict=True))
    assert "K" in shown["runs list"]
    assert ("ä" in shown["runs list"]) == ("utf-8" in environment.values() or environment == {"LC_ALL": "POSIX"})


@pytest.fixture
def written() -> Iterator[Callable[[object, int], list[str]]]:
    """Writes lines to a file of the system's through the streams of `lasting`, as stderr or stdout."""
    before = sys.stdout, sys.stderr

    def write(file: int, lines: int, *, results: bool) -> None:
        stream = io.TextIOWrapper(io.FileIO(file, "w", closefd=False), encoding="utf-8", write_through=True)
        sys.stdout, sys.stderr = (stream, before[1]) if results else (before[0], stream)
        with lasting():
            for number in range(lines):
                print(f"line {number}" * 1000, file=sys.stdout if results else sys.stderr)

    yield write  # type: ignore[misc]
    sys.stdout, sys.stderr = before


@pytest.mark.parametrize("results", [True, False])
@pytest.mark.parametrize("name", ["EPIPE", "ECONNRESET", "EIO", "ENOSPC", "EAGAIN"])
def test_what_becomes_of_each_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Callable[..., None], name: str, results: bool
) -> None:
    number = getattr(errno, name)
    original, file = os.write, os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(streams, "PATIENCE", 0.0)

    def refuse(to: int, data: bytes) -> int:
        if to == file:
            raise OSError(number, os.strerror(number))
        return original(to, data)

    monkeypatch.setattr(os, "write", refuse)
    if results and name in ("EIO", "ENOSPC"):  # of a file, which has no reader that could have gone
        with pytest.raises(StateError, match=os.strerror(number)):
            written(file, 3, results=results)
    elif name == "EAGAIN":
        monkeypatch.setattr(streams.select, "select", lambda *_: ([], [], []))
        written(file, 3, results=results)
    else:
        written(file, 3, results=results)
    gone = os.readlink(f"/proc/self/fd/{file}") == os.devnull
    os.close(file)
    assert gone == (name in ("EPIPE", "ECONNRESET"))


def test_a_reader_that_is_slow_loses_nothing(written: Callable[..., None]) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(ours, 65536), b"")))
    timer = threading.Timer(0.1, reader.start)
    timer.start()
    written(theirs, 40, results=False)
    os.close(theirs)
    timer.join()
    reader.join()
    os.close(ours)
    assert b"".join(got).count(b"\n") == 40
