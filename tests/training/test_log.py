"""What a person sees while a run works: how fast it is, and the time that is left."""

import re
from pathlib import Path

import pytest

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
    shown = Log(
        "run", events=tmp_path, start=0, steps=100, epoch_steps=10, batch_size=8, record_every=10, work_until=work_until
    )
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
    shown = Log("run", events=tmp_path, start=0, steps=1000, epoch_steps=1000, batch_size=8, record_every=10)
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
