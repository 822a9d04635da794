"""What stands in the environment: empty counts as not set, what cannot be is said, and nothing is a traceback."""

import os
from pathlib import Path

import pytest

from sslcli import __version__, load_encoder
from sslcli.errors import StateError, UsageError
from sslcli.launch import Launch, read_launch
from sslcli.runs.registry import Registry
from sslcli.training import device
from tests.conftest import TINY, Cli

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
WHOLE = {
    "WORLD_SIZE": "4",
    "RANK": "3",
    "LOCAL_WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def _started_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def put(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("values", "launch"),
    [
        ({}, Launch()),
        (dict.fromkeys(NAMES, ""), Launch()),
        (dict.fromkeys(NAMES, " "), Launch()),
        ({"RANK": "3"}, Launch()),
        ({"RANK": "x", "LOCAL_RANK": "-1", "LOCAL_WORLD_SIZE": "", "MASTER_PORT": "none"}, Launch()),
        ({"WORLD_SIZE": "1"}, Launch()),
        ({"WORLD_SIZE": "1", "RANK": ""}, Launch()),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}, Launch()),
        (WHOLE, Launch(3, 4, 1, 2)),
        (WHOLE | {"TORCHELASTIC_RESTART_COUNT": "2"}, Launch(3, 4, 1, 2, 2)),
        (WHOLE | {"TORCHELASTIC_RESTART_COUNT": ""}, Launch(3, 4, 1, 2)),
        (WHOLE | {"LOCAL_RANK": "", "LOCAL_WORLD_SIZE": ""}, Launch(3, 4, 0, 1)),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "host", "MASTER_PORT": "1"}, Launch(1, 2)),
    ],
    ids=str,
)
def test_how_a_process_was_started_is_read(monkeypatch: pytest.MonkeyPatch, values: dict[str, str], launch: Launch) -> None:
    put(monkeypatch, values)
    assert read_launch() == launch


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: accepted is a whole number from 1"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2"),
        ({"WORLD_SIZE": "1.0"}, "WORLD_SIZE=1.0"),
        ({"WORLD_SIZE": "²"}, "WORLD_SIZE=²"),
        ({"WORLD_SIZE": "1", "RANK": "3"}, "RANK=3: accepted is a whole number from 0 to 0"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2, but RANK is not set"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "MASTER_PORT is not set"),
        (WHOLE | {"RANK": "4"}, "RANK=4: accepted is a whole number from 0 to 3"),
        (WHOLE | {"RANK": "-1"}, "RANK=-1"),
        (WHOLE | {"RANK": "one"}, "RANK=one"),
        (WHOLE | {"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
        (WHOLE | {"MASTER_PORT": "70000"}, "MASTER_PORT=70000: accepted is a whole number from 1 to 65535"),
        (WHOLE | {"LOCAL_RANK": "2"}, "LOCAL_RANK=2: accepted is a whole number from 0 to 1"),
        (WHOLE | {"LOCAL_RANK": ""}, "LOCAL_RANK is not set"),
        (WHOLE | {"LOCAL_WORLD_SIZE": ""}, "LOCAL_WORLD_SIZE is not set"),
        (WHOLE | {"LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE=5"),
        (WHOLE | {"TORCHELASTIC_RESTART_COUNT": "x"}, "TORCHELASTIC_RESTART_COUNT=x"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_by_every_command_and_help_is_not_refused(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    put(monkeypatch, values)
    with pytest.raises(UsageError, match="torchrun; for one, type: unset WORLD_SIZE RANK"):
        read_launch()
    for line in (f"pretrain {TINY}", "resume"):
        result = ssl(line)
        assert (result.code, said in result.err) == (2, True), result.err
    refused = ssl("runs list")
    assert (refused.code, "Traceback" in refused.err) == (2, False)
    assert ssl("--help").code == 0


def test_a_rank_alone_is_one_process_that_is_heard(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert "to make some, type: ssl study" in ssl("runs list").err
    assert "accepted" in ssl("pretrain --dataset nothing").err
    monkeypatch.setenv("WORLD_SIZE", "")
    assert ssl("--version").out == f"ssl {__version__}\n"


def test_an_empty_name_of_a_project_or_of_data_is_none(ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, {"SSL_PROJECT": "", "SSL_DATA_DIR": ""})
    assert f"no runs in {tmp_path} yet; to make some, type: ssl study\n" in ssl("runs list").err
    missing = ssl("pretrain --dataset cifar10")
    assert (missing.code, f"{tmp_path}/data" in missing.err) == (3, True), missing.err


@pytest.mark.parametrize(("named", "said"), [("file", "file is not a folder"), ("nothing", "nothing: there is no such folder")])
def test_a_project_that_is_none_is_said_by_the_name_that_it_came_by(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    (tmp_path / "file").touch()
    typed = ssl(f"runs list --project {named}")
    assert (typed.code, f"--project {said}" in typed.err) == (3, True), typed.err
    monkeypatch.setenv("SSL_PROJECT", named)
    for line in ("runs list", "compare"):
        result = ssl(line)
        assert (result.code, f"SSL_PROJECT={said}" in result.err) == (3, True), result.err
    with pytest.raises(StateError):
        load_encoder("latest")
    assert not Registry(tmp_path).runs()


@pytest.mark.parametrize("name", device.THREADS)
@pytest.mark.parametrize(
    ("value", "holds"), [("", False), (" ", False), ("abc", False), ("0x4", False), ("1", True), ("2,1", True)]
)
def test_only_a_number_holds_torch_to_so_many_threads(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, holds: bool
) -> None:
    for other in device.THREADS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    asked: list[int] = []
    monkeypatch.setattr(device.torch, "set_num_threads", asked.append)
    device.use_well(device.torch.device("cpu"))
    assert asked == ([] if holds else [1])


@pytest.mark.parametrize("columns", ["0", "1", "-5", "abc", "", "3", "100000"])
@pytest.mark.parametrize("line", ["--help", "pretrain --help", "runs list", "compare"])
def test_any_width_of_the_terminal_will_do(ssl: Cli, monkeypatch: pytest.MonkeyPatch, columns: str, line: str) -> None:
    put(monkeypatch, {"COLUMNS": columns, "LINES": columns, "TERM": "dumb" if columns == "1" else "xterm"})
    Registry(Path.cwd()).create(
        "a", experiment="knn", protocol="knn", init="scratch", status="finished", metrics={"test_acc": 0.5}
    )
    assert ssl(line).code == 0


def test_no_gpu_to_see_is_a_message(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("CUDA_VISIBLE_DEVICES") is None and device.torch.cuda.is_available():
        pytest.skip("torch has looked for GPUs by now")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = ssl(f"pretrain {TINY} --device cuda")
    assert (result.code, "torch finds no such device" in result.err) == (3, True)
    assert result.err.rstrip().endswith("type the command again with --device cpu")
