"""Runs that were stopped, failed or went wrong go on, to the same bits, or say why not."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sslcli.errors import StateError
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import log
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.lifecycle import hold_to_own, running
from sslcli.workflows import training_run
from tests.conftest import TINY, Cli
from tests.stopping import signal_after

Done = Callable[[str], Run]


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize("protocol", ["knn", "logistic"])
def test_a_stopped_protocol_without_steps_says_that_it_starts_again(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sslcli.workflows.representations.standardisation", lambda _: os.kill(os.getpid(), signal.SIGINT))
        stopped = ssl(f"probe --protocol {protocol}")
    assert stopped.code == 130
    assert "has no checkpoints: ssl resume starts it again" in stopped.err
    assert ssl("resume").code == 0


def test_keeping_checkpoints_changes_no_weight(done: Done, registry: Registry) -> None:
    runs = [done(f"pretrain {TINY} --epochs 2 --keep-every {n}") for n in (0, 1)]
    first, second = (load_checkpoint(registry, run, "last")["model"] for run in runs)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def scalars(registry: Registry, run: Run) -> list[tuple[str, int, float]]:
    events = EventAccumulator(str(registry.path(run.folder)), size_guidance={"scalars": 0}).Reload()
    return [(tag, e.step, e.value) for tag in sorted(events.Tags()["scalars"]) for e in events.Scalars(tag)]


def without_times(entries: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    "line",
    [
        f"pretrain {TINY} --epochs 3 --keep-every 1",
        "finetune --epochs 3 --batch-size 32 --optimizer muon",
        "probe --epochs 4 --batch-size 32",
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(ssl: Cli, done: Done, registry: Registry, line: str) -> None:
    whole = done(line)
    for number in (signal.SIGINT, signal.SIGTERM):
        resumed = interrupted_and_resumed(ssl, registry, line, number)
        assert without_times([resumed.metrics]) == without_times([whole.metrics])
        first, second = (load_checkpoint(registry, registry.load(r), "last") for r in (whole, resumed))
        assert all(torch.equal(value, second["model"][name]) for name, value in first["model"].items())
        assert str(first["optimizer"]) == str(second["optimizer"])
        assert without_times(first["progress"]["history"]) == without_times(second["progress"]["history"])
        assert scalars(registry, whole) == scalars(registry, resumed)


def interrupted_and_resumed(ssl: Cli, registry: Registry, line: str, number: int) -> Run:
    """The finished run of a command that got a signal in its tenth step and was resumed."""
    with signal_after(10, number):
        stopped = ssl(line)
    run = registry.find("latest")
    assert stopped.code == 128 + number
    assert f"ssl resume {run.id}" in stopped.err
    assert run.status == "interrupted"
    assert ssl("resume").code == 0
    resumed = registry.load(registry.find(run.id))
    assert resumed.status == "finished"
    assert [attempt["status"] for attempt in resumed.attempts] == ["interrupted", "finished"]
    return resumed


def test_resume_refuses_a_finished_run_and_says_when_nothing_is_interrupted(pretrained: Run, ssl: Cli) -> None:
    assert ssl("resume").code == 3
    refused = ssl(f"resume {pretrained.id}")
    assert (refused.code, "is finished" in refused.err) == (3, True)


def test_a_run_whose_process_died_counts_as_interrupted(pretrained: Run, ssl: Cli, registry: Registry) -> None:
    pretrained.status = "running"
    registry.save(pretrained)
    assert "interrupted" in ssl("runs list").out
    assert f"ssl resume {pretrained.id}" in ssl("").out


def test_a_damaged_last_checkpoint_is_said_and_the_one_before_is_taken(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)  # a checkpoint every step
    with signal_after(5):
        assert ssl(f"pretrain {TINY}").code == 130
    run = registry.find("latest")
    path = registry.path(f"{run.folder}/checkpoints/last.pt")
    path.write_bytes(path.read_bytes()[:-9])
    result = ssl("resume")
    assert result.code == 0
    assert "damaged" in result.err
    assert "continuing from step 4" in result.err
    assert ssl("runs verify").code == 0


def test_a_diverging_run_stops_and_keeps_its_last_checkpoint(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)
    result = ssl(f"pretrain {TINY} --optimizer sgd --lr 1e30 --warmup-epochs 0 --precision fp32 --epochs 3")
    assert result.code == 3
    assert "diverged" in result.err
    assert "--lr" in result.err
    run = registry.load(registry.find("latest"))
    assert run.status == "failed"
    state = load_checkpoint(registry, run, "last")
    assert state["progress"]["step"] >= 1
    assert state["progress"]["total"]["loss_epoch"] < 1e3


def test_a_run_that_diverges_in_its_only_step_ends_with_a_message_before_anything_is_measured(
    ssl: Cli, registry: Registry
) -> None:
    result = ssl(f"pretrain {TINY} --optimizer sgd --lr 1e12 --warmup-epochs 0 --precision fp32 --max-steps 1")
    assert (result.code, "training diverged: " in result.err, "--lr" in result.err) == (3, True, True), result.err
    (run,) = registry.runs()
    assert registry.load(run).status == "failed"
    assert not registry.load(run).metrics


def test_a_process_that_was_taken_for_dead_writes_nothing_into_the_run_that_another_goes_on_with(registry: Registry) -> None:
    run = registry.create("r", experiment="pretrain", status="interrupted")

    def work() -> None:
        with running(registry, run):
            hold_to_own(registry, run)
            there = registry.load(run)
            there.attempts.append({"started": "later", "host": "laptop-b", "process": 7})
            registry.save(there)
            hold_to_own(registry, run)

    with pytest.raises(StateError, match="taken over by process 7 on laptop-b"):
        work()
    record = registry.load(run)
    assert (record.status, record.error, record.attempts[-1].get("host")) == ("running", None, "laptop-b")


def test_deterministic_holds_for_the_run_that_asks_for_it(done: Done) -> None:
    first = done(f"pretrain {TINY} --deterministic")
    assert torch.are_deterministic_algorithms_enabled()
    second = done(f"pretrain {TINY}")
    assert not torch.are_deterministic_algorithms_enabled()
    assert first.metrics["loss"] == second.metrics["loss"]


def test_a_failed_run_goes_on_when_asked(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    original = log.Log.flush

    def full(self: log.Log) -> None:
        original(self)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "flush", full)
        result = ssl(f"pretrain {TINY}")
    assert result.code == 3
    assert "No space left" in result.err
    assert registry.find("latest").status == "failed"
    assert ssl("resume").code == 0
    assert registry.find("latest").status == "finished"


def test_a_moved_data_folder_is_named_to_resume(ssl: Cli, small_cifar: Path, tmp_path: Path) -> None:
    with signal_after(2):
        assert ssl(f"pretrain --data-dir {small_cifar} --backbone resnet9-small --batch-size 32 --epochs 2").code == 130
    small_cifar.rename(tmp_path / "moved")
    assert ssl("resume").code == 3
    assert ssl("resume --data-dir moved").code == 0


def test_a_net_that_no_memory_holds_is_said(ssl: Cli) -> None:
    refused = ssl(f"pretrain {TINY} --projector-hidden 100000000000")
    assert refused.code == 3
    assert "out of memory: try a smaller --batch-size" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("batch", "advice"), [(32, "--batch-size 16\n"), (3, "--batch-size 2\n"), (2, "a smaller --backbone\n")]
)
def test_without_memory_for_a_batch_the_advice_is_a_smaller_one_that_is_accepted(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, batch: int, advice: str
) -> None:
    def too_large(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(training_run, "take_steps", too_large)
    refused = ssl(f"pretrain {TINY} --batch-size {batch} --max-steps 1")
    assert refused.code == 3
    assert refused.err.endswith(f"out of memory at --batch-size {batch}; try {advice}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("CUDA error: out of memory", "try a smaller --batch-size"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "try a smaller --batch-size"),
        ("MPS backend out of memory (MPS allocated: 8 GB)", "try a smaller --batch-size"),
        (
            "mode_cuda does not have a deterministic implementation, but you set",
            "--deterministic: torch has no deterministic mode_cuda",
        ),
    ],
)
def test_what_torch_says_of_a_machines_limits_is_a_message(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, error: str, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr("sslcli.plans.views.make_views", fail)
    refused = ssl(f"pretrain {TINY}")
    assert (refused.code, words in refused.err, "Traceback" in refused.err) == (3, True, False), refused.err


@pytest.mark.usefixtures("no_pictures")
def test_a_request_to_stop_that_comes_with_the_last_save_is_heeded(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training_run.save_checkpoint

    def save(*arguments: Any) -> None:
        original(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(training_run, "save_checkpoint", save)
    stopped = ssl(f"pretrain {TINY} --max-steps 2")
    assert stopped.code == 143
    (run,) = registry.runs()
    assert run.status == "interrupted"
    monkeypatch.setattr(training_run, "save_checkpoint", original)
    assert ssl("resume").code == 0
    assert registry.runs()[0].status == "finished"
