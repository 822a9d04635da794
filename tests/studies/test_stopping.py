"""A study that is stopped says what is done, what is left, and which command goes on."""

import os
import signal
from pathlib import Path

import pytest

from sslcli.errors import Interrupted
from sslcli.runs.registry import Registry
from sslcli.studies import study as study_module
from sslcli.studies.stopping import told_when_stopped
from sslcli.training import log
from tests.conftest import Cli


@pytest.fixture
def line(tmp_path: Path) -> str:
    """A study of three jobs."""
    (tmp_path / "small.yaml").write_text(
        "pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, optimizer: adamw, epochs: 1}\n"
        "probe: {epochs: 1}\n"
    )
    return "study --preset small.yaml --max-steps 3"


def interrupt(*_: object, **__: object) -> None:
    """Be Ctrl-C where no training listens for it."""
    raise KeyboardInterrupt


def last_words(ssl: Cli, line: str) -> str:
    stopped = ssl(line)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    return stopped.err.splitlines()[-1]


def test_before_the_first_run_nothing_is_done(ssl: Cli, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "hold_to_labels", interrupt)
    assert last_words(ssl, line) == (
        "ssl: stopped by SIGINT; study small: no runs finished; left: its other runs, its pictures and its page; to go on, "
        f"type: ssl {line}"
    )


def test_in_the_middle_of_a_run_the_study_is_what_goes_on(
    ssl: Cli, line: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = log.Log.step

    def stop_probe(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if registry.runs()[-1].experiment == "linear_eval":
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(log.Log, "step", stop_probe)
    assert last_words(ssl, line).startswith("ssl: stopped by SIGINT; study small: 1 run finished, 1 interrupted; left: its ")


def test_while_pictures_are_drawn_only_they_and_the_page_are_left(ssl: Cli, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(study_module, "save_pictures", interrupt)
        assert last_words(ssl, line) == (
            f"ssl: stopped by SIGINT; study small: 3 runs finished; left: its pictures and its page; to go on, type: ssl {line}"
        )
    monkeypatch.setattr(study_module, "save_pictures", lambda *_: None)
    assert ssl(line).err.count("finished already") == 3


def test_another_command_that_is_stopped_says_how_to_start_it_again(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslcli.workflows.begin.pretrain", interrupt)
    assert last_words(ssl, "pretrain --dataset shapes") == (
        "ssl: stopped before the end; to start again, type: ssl pretrain --dataset shapes"
    )


def test_the_trials_of_a_tuning_count_as_done(registry: Registry) -> None:
    registry.create("t", experiment="pretrain", status="finished", study="small-tuning")
    with (
        pytest.raises(Interrupted, match="study small: no runs, 1 trial of tuning finished; left: all"),
        told_when_stopped(registry, "small", left="all"),
    ):
        raise KeyboardInterrupt
