"""What a person sees while a run works: how fast it is, and the time that is left."""

import errno
import re
from pathlib import Path

import pytest

from sslcli.data.batches import Batches
from sslcli.errors import StateError
from sslcli.plans.views import work_of
from sslcli.training import log
from sslcli.training.log import Log
from tests.conftest import TINY, Cli


def test_the_time_left_knows_that_larger_views_take_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    work_until = work_of("16:0.5,32:0.5", 100)
    shown = Log("run", events=tmp_path, start=0, steps=100, epoch_steps=10, per_step=8, record_every=10, work_until=work_until)
    with shown:
        for step, seconds in ((25, 25.0), (50, 50.0), (75, 50 + 25 * 2**1.5)):  # as long as the steps of each size take
            now = seconds
            shown.show(step, loss=1.0)
    left = [re.findall(r"(\d+ min \d+ s|\d+ s) left", line) for line in capfd.readouterr().err.splitlines()]
    assert left == [["2 min 46 s"], ["2 min 21 s"], ["1 min 11 s"]]


def test_speed_and_the_time_left_are_told_by_the_last_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    shown = Log("run", events=tmp_path, start=0, steps=1000, epoch_steps=1000, per_step=8, record_every=10)
    with shown:
        for step, seconds in ((1, 100.0), (41, 140.0), (101, 200.0)):  # the first is compiled
            now = seconds
            shown.show(step, loss=1.0)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("loss 1, ")[2] for line in lines[1:]] == [
        "8 images/s, 15 min 59 s left",
        "8 images/s, 14 min 59 s left",
    ]


def test_piped_progress_comes_in_lines_with_speed_and_time_left(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LINE_EVERY", 0.0)
    lines = [line for line in ssl(f"pretrain {TINY}").err.splitlines() if "images/s" in line]
    assert len(lines) >= 5
    assert all("loss" in line and "left" in line and "epoch" in line for line in lines)


def test_a_full_disk_under_the_event_file_is_a_message_and_no_thread_prints_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def record() -> None:
        with Log("run", events=tmp_path, start=0, steps=10, epoch_steps=10, per_step=8, record_every=1) as shown:
            shown.flush()
            monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", no_room)
            shown.step(1, loss=1.0, lr=0.1)
            shown.flush()

    with pytest.raises(StateError, match="No space left on device; free some space"):
        record()
    assert "Traceback" not in capfd.readouterr().err


def test_speed_counts_the_images_of_steps_that_are_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    batches = Batches(146, 128, seed=1, drop_last=False)
    assert batches.per_step == 73
    assert Batches(146, 128, seed=1, drop_last=True).per_step == 128
    assert Batches(129, 128, seed=1, drop_last=False, join_single=True).per_step == 129
    with Log("run", events=tmp_path, start=0, steps=1000, epoch_steps=2, per_step=batches.per_step, record_every=10) as shown:
        now = 10.0
        shown.show(10, loss=1.0)
    assert "73 images/s" in capfd.readouterr().err
