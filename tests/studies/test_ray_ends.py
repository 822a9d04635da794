"""A study whose Ray goes away: it ends with a message, keeps what is done, and goes on at another place."""

import re
import socket
from pathlib import Path

import pytest

from sslcli.errors import StateError
from sslcli.runs.registry import Registry
from sslcli.studies import ray_cluster as joining
from sslcli.studies.ray_cluster import Head
from tests import forked, ray_cluster
from tests.conftest import Cli
from tests.engines import LINE, lay_out_study, whole_runs
from tests.measuring import PATIENCE, wait_until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that pass between two looks at the clock; the last one stays."""
    steps, time = [0.0], [0.0]

    def monotonic() -> float:
        time[0] += steps[-1]
        return time[0]

    monkeypatch.setattr("sslcli.studies.ray_cluster.time.monotonic", monotonic)
    return steps


def ask(head: Head, *, times: int) -> None:
    for _ in range(times):
        head.hold()


def test_a_head_that_does_not_answer_for_a_while_counts_as_gone_and_one_that_answers_again_does_not(
    clock: list[float],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        head = Head(address)
        clock.append(joining.ASK_EVERY)
        ask(head, times=100)
    ask(head, times=2)  # gone for a moment
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        ask(head, times=3)
    with pytest.raises(StateError, match=rf"the head of Ray at {address} has gone .*type the study again with --on local"):
        ask(head, times=100)


def test_a_pause_of_this_process_is_no_silence_of_the_head(clock: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = Head(f"127.0.0.1:{server.getsockname()[1]}")
    clock.append(0.6 * joining.GONE)  # before each look at the clock
    ask(head, times=1)
    with pytest.raises(StateError, match="has gone"):
        ask(head, times=2)


def test_the_head_is_not_asked_at_every_look(clock: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = Head(f"127.0.0.1:{server.getsockname()[1]}")
        clock.append(joining.ASK_EVERY / 100)
        ask(head, times=30)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.usefixtures("no_pictures")
def test_a_study_whose_ray_is_killed_ends_with_a_message_and_goes_on_here_without_repeating_anything(
    ssl: Cli, registry: Registry, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="the package ray is not installed: pip install 'sslcli[ray]'")
    lay_out_study(tmp_path)
    with ray_cluster.lone_head(tmp_path) as (address, head):
        study = forked.process(ray_cluster.type_line, str(tmp_path), f"{LINE} --on ray:{address}")
        study.start()
        wait_until(lambda: {"finished", "running"} <= {run.status for run in registry.runs()} or not study.is_alive())
        ray_cluster.kill_all_of(head.pid)
        study.join(PATIENCE)
    said = (tmp_path / "output.txt").read_text()
    assert study.exitcode == 3, said
    assert re.search(rf"the head of Ray at \S+:{address.rpartition(':')[2]} has gone", said), said
    assert "type the study again with --on local" in said
    before = {run.id: run for run in whole_runs(tmp_path)}
    assert {run.experiment for run in before.values() if run.status == "finished"} == {"pretrain"}
    assert not [*tmp_path.rglob(".ticket"), *tmp_path.rglob("*.launcher"), *(tmp_path / "runs" / ".ray").glob("*")]
    again = ssl(f"{LINE} --on local")
    assert again.code == 0, again.err
    after = {run.id: run for run in whole_runs(tmp_path)}
    assert after.keys() == before.keys()
    assert {run.status for run in after.values()} == {"finished"}
    for name, run in before.items():
        assert len(after[name].attempts) == len(run.attempts) + (run.status != "finished")
