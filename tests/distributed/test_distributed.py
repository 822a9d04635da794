"""Several processes train as one: real processes that talk over Gloo, against one process with the same batch."""

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslcli import distributed
from sslcli.errors import StateError
from sslcli.models.batch_norm import share_batch_norm
from sslcli.models.encoder import build_encoder
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import build_method, resolve, training_of
from sslcli.plans.settling import prepare
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.device import choose_device
from sslcli.training.events import read_scalars
from tests import forked, processes
from tests.conftest import TINY, Cli
from tests.measuring import PATIENCE

LINE = f"pretrain {TINY} --epochs 4 --optimizer sgd --lr 0.0003 --warmup-epochs 0 --precision fp32 --view-sizes 8 --knn-every 2"
"""28 steps, at a rate so low that what float32 rounds off does not grow: at the usual one, tenfold a step; at three times this,
still where the CPU (AVX2) rounds an image's sums otherwise in a batch of another size."""
Results = list[dict[str, Any]]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(folder: Path, line: str, *, count: int, second: dict[str, str] | None = None, **more: str) -> list[BaseProcess]:
    """`count` processes that type a command in a folder as torchrun would have them, with `more` in their environment.

    `second` is in the second's alone.
    """
    port, started = str(free_port()), []
    for rank in range(count):
        environment = {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **more}
        environment |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), **((second or {}) if rank == 1 else {})}
        started.append(forked.process(processes.command, str(folder), line.split(), environment))
        started[-1].start()
    return started


def codes(started: list[BaseProcess]) -> list[int | None]:
    for process in started:
        process.join(PATIENCE)
    return [process.exitcode for process in started]


def only_run(folder: Path) -> Run:
    registry = Registry(folder)
    (run,) = registry.runs()
    return registry.load(run)


def largest_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    assert first.keys() == second.keys()
    return max((float((first[name].double() - second[name].double()).abs().max()) for name in first), default=0.0)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each of two processes found."""
    folder, port = tmp_path_factory.mktemp("two"), free_port()
    started = [forked.process(processes.compare, rank, port, str(folder)) for rank in (0, 1)]
    for process in started:
        process.start()
    assert codes(started) == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Tensor]]:
    """The record and the weights of a run of LINE on one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert codes(start(folder, LINE, count=1)) == [0], (folder / "output.txt").read_text()
    run = only_run(folder)
    return run, load_checkpoint(Registry(folder), run, "last")["model"]


def same_within_rounding(folder: Path, undisturbed: tuple[Run, dict[str, Tensor]]) -> None:
    """The folder's run is whole and equals the undisturbed one, but for the order of sums in float32."""
    whole, weights = undisturbed
    run = only_run(folder)
    assert (run.status, run.pair) == ("finished", whole.pair)
    for ours, theirs in zip(run.history, whole.history, strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["train/loss_epoch"] == pytest.approx(theirs["train/loss_epoch"], rel=1e-5)
    found = load_checkpoint(Registry(folder), run, "last")["model"]
    began = build_method(Pretrain(backbone="resnet9-small", stem="own")).state_dict()
    for name in [name for name, tensor in weights.items() if tensor.ndim > 1]:
        assert (found[name] - weights[name]).norm() < 0.01 * (weights[name] - began[name]).norm(), name
    scalars = read_scalars(folder / run.folder)
    assert not scalars.losses
    assert [step for step, _ in scalars.points["train_loss_epoch"]] == [entry["step"] for entry in whole.history]


@pytest.mark.parametrize(("method", "optimizer"), processes.TRAININGS)
def test_ten_steps_on_two_processes_equal_ten_on_one(two: Results, method: str, optimizer: str) -> None:
    one = processes.train(method, optimizer)
    # Muon rounds to bfloat16: where a last digit tips that over, a weight moves by a rounding of its step
    exact = 1e-8 if optimizer != "muon" else processes.CASES["muon"] * 2**-7
    for of_rank in two:
        found = of_rank[method, optimizer]
        assert torch.allclose(torch.stack(found["losses"]), torch.stack(one["losses"]), rtol=0, atol=exact)
        for ours, theirs in zip(found["scalars"], one["scalars"], strict=True):
            assert largest_difference(ours, theirs) < exact
        differences = [largest_difference(*pair) for pair in zip(found["gradients"], one["gradients"], strict=True)]
        assert len(differences) == processes.STEPS
        assert differences[0] < 1e-8
        assert max(differences) < exact
        assert largest_difference(found["weights"], one["weights"]) < exact
    assert one["losses"][2] - one["losses"][8] > 0.05  # of the same images
    first, second = (of_rank[method, optimizer]["weights"] for of_rank in two)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_batch_norm_over_unequal_parts_equals_torchs_over_the_whole(two: Results) -> None:
    for case, whole in processes.norms().items():
        parts = [of_rank["norms"][case] for of_rank in two]
        last_digits = {"torch.float64": 1e-14, "torch.float32": 1e-6, "torch.bfloat16": 2**-8}[case.split()[0]]
        for name in ("y", "dx", "evaluated"):
            joined = torch.cat([part[name] for part in parts])
            assert joined.dtype == whole[name].dtype
            assert torch.allclose(joined, whole[name], rtol=2 * last_digits, atol=10 * last_digits), (case, name)
        for part in parts:
            for ours, theirs in zip(part["statistics"], whole["statistics"], strict=True):
                assert torch.allclose(ours, theirs, rtol=1e-6)
        for name in (0, 1):
            total = sum(part["dparameters"][name] for part in parts)
            assert torch.allclose(total, whole["dparameters"][name], rtol=10 * last_digits, atol=100 * last_digits), case
        assert parts[1]["y"].is_contiguous(memory_format=torch.channels_last) == ("channels_last" in case)


def test_gathering_keeps_the_order_and_sums_the_gradients(two: Results) -> None:
    for rank, of_rank in enumerate(two):
        gathered, gradient = of_rank["gather"]
        assert gathered[:, 0].tolist() == [0, 0, 1, 1]
        assert gradient[:, 0].tolist() == [[0, 3], [6, 9]][rank]  # row number, once from each process, the second's doubled
        assert of_rank["first"] == "made by 0"


def test_dropout_differs_between_processes(two: Results) -> None:
    assert not torch.equal(two[0]["dropped"], two[1]["dropped"])


def test_with_one_process_nothing_is_replaced() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3))
    share_batch_norm(net)
    assert type(net[0]) is nn.BatchNorm1d
    x = torch.ones(2, 3)
    assert distributed.gather(x) is x


@pytest.mark.parametrize("count", [2, 4])
def test_the_views_do_not_depend_on_the_number_of_processes(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    context, options = prepare(registry, Pretrain(dataset="shapes", batch_size=16, epochs=2, blur=0.5))
    options = resolve(options, context)
    _, training = training_of(options, context)

    def views_at(step: int) -> list[Tensor]:
        return training.views_of(step, training.batch_at(step))

    whole = views_at(17)
    monkeypatch.setattr(distributed, "world", lambda: count)
    parts = []
    for rank in range(count):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(views_at(17))
    for number in range(2):
        assert len(parts[0][number]) == 16 // count
        assert torch.allclose(torch.cat([part[number] for part in parts]), whole[number], atol=1e-5)


def test_a_run_goes_on_on_another_number_of_processes_and_one_that_is_asked_stops_all(
    undisturbed: tuple[Run, dict[str, Tensor]], tmp_path: Path
) -> None:
    output = tmp_path / "output.txt"
    assert codes(start(tmp_path, LINE, count=2, SIGNAL_AT=f"1 8 {signal.SIGTERM:d}")) == [143, 143], output.read_text()
    assert saved_step(tmp_path) == 8
    assert codes(start(tmp_path, "resume", count=1, SIGNAL_AT=f"0 18 {signal.SIGINT:d}")) == [130], output.read_text()
    assert saved_step(tmp_path) == 18
    assert codes(start(tmp_path, "resume", count=2)) == [0, 0], output.read_text()
    assert output.read_text().count("stopped by SIGTERM; to go on, type: ssl resume") == 1
    assert output.read_text().count("started on 2 processes, each on") == 1
    assert len(list(tmp_path.glob("runs/*/*/events.*"))) == 3  # one for each attempt, not for each process
    same_within_rounding(tmp_path, undisturbed)


def saved_step(folder: Path) -> int:
    """The step of the last checkpoint of the folder's interrupted run."""
    run = only_run(folder)
    assert run.status == "interrupted"
    return int(load_checkpoint(Registry(folder), run, "last")["progress"]["step"])


def test_a_worker_of_torchrun_that_is_killed_is_replaced_and_the_run_goes_on(
    undisturbed: tuple[Run, dict[str, Tensor]], tmp_path: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "3"]
    command = [*torchrun, "--master-port", str(free_port()), "-m", "--", "tests.processes", *LINE.split(), "--run", "mine"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "SAVE_EVERY": "0", "SIGNAL_AT": f"1 10 {signal.SIGKILL:d}"}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert run.name == "mine"
    assert len(run.attempts) == 2
    assert done.stderr.count("continuing from step") == 1
    same_within_rounding(tmp_path, undisturbed)


def test_what_one_process_meets_ends_all_with_its_reason_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert codes(start(tmp_path, LINE, count=2, second={"SSL_PROJECT": "file"})) == [3, 3]
    output = (tmp_path / "output.txt").read_text()
    assert output.startswith("ssl: process 1 on ")
    assert output.count("is not a folder") == 1
    assert "Traceback" not in output
    assert not list(tmp_path.glob("runs/*"))


def test_a_named_run_is_begun_once_and_then_gone_on_with(ssl: Cli, registry: Registry, tmp_path: Path) -> None:
    line = f"pretrain {TINY} --epochs 4 --knn-every 0 --view-sizes 8 --run mine"
    first = ssl(f"{line} --max-steps 10")
    assert first.code == 0, first.err
    again = ssl(f"{line} --max-steps 10")
    assert again.code == 0
    assert f"{only_run(tmp_path).id} is finished" in again.err
    run = only_run(tmp_path)
    assert (run.name, "run" in run.options, run.pair is not None) == ("mine", False, True)
    run.status = "interrupted"
    registry.save(run)
    planned = ssl(f"pretrain --run {run.id} --dry-run")
    assert planned.code == 0
    assert f"{run.id} is interrupted and would continue" in planned.err
    gone_on = ssl(f"pretrain --run {run.id} --epochs 4 --device cpu")
    assert gone_on.code == 0, gone_on.err
    assert "continuing from step 10 of 10" in gone_on.err
    refused = ssl(f"{line} --max-steps 10 --lr 0.125")
    assert refused.code == 2
    assert "--lr 0.125" in refused.err
    assert f"started with {run.options['lr']}" in refused.err


@pytest.mark.parametrize("line", ["pretrain --run latest", "pretrain --run ''", "pretrain --run a --name b"])
def test_a_run_is_gone_on_with_by_one_name_that_means_one_run(ssl: Cli, tmp_path: Path, line: str) -> None:
    assert ssl(line).code == 2
    assert not list(tmp_path.glob("runs/*"))


def test_a_name_that_another_kind_of_run_has_is_refused(ssl: Cli, registry: Registry) -> None:
    registry.create("other", experiment="finetune", status="finished", name="mine")
    result = ssl("pretrain --dataset shapes --run mine")
    assert result.code == 3
    assert "finished run of fine-tuning" in result.err


@pytest.mark.parametrize("line", ["probe", "finetune", "study", "runs list"])
def test_what_knows_of_one_process_refuses_several(ssl: Cli, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = ssl(line)
    assert result.code == 2
    assert "on 2 processes: accepted are ssl pretrain and ssl resume" in result.err


def test_two_processes_that_begin_with_others_weights_train_as_one(tmp_path: Path) -> None:
    began = build_encoder("resnet9-small", stem="own", seed=7).state_dict()
    torch.save(began, tmp_path / "others.pt")
    found = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        started = start(folder, f"{LINE} --init {tmp_path / 'others.pt'} --max-steps 4", count=count)
        assert codes(started) == [0] * count, (folder / "output.txt").read_text()
        found.append(load_checkpoint(Registry(folder), only_run(folder), "last")["model"])
    for name in [name for name, tensor in began.items() if tensor.ndim > 1]:
        ours, theirs = (weights[f"encoder.{name}"] for weights in found)
        moved = (ours - began[name]).norm()
        assert 0 < moved < 0.1 * began[name].norm(), name  # of weights from another seed it would be 1.4
        assert (theirs - ours).norm() < 0.01 * moved, name


def test_a_batch_that_cannot_be_shared_equally_is_refused(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslcli.plans.settling.world", lambda: 3)
    result = ssl(f"pretrain {TINY}")
    assert result.code == 2
    assert "--batch-size 32: 3 processes" in result.err
    assert "a multiple of 3" in result.err


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslcli.training.device.world", lambda: 2)
    monkeypatch.setattr("sslcli.training.device.place", lambda: (1, 2))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name in ("auto", "cuda"):
        with pytest.raises(StateError, match=r"2 processes for 1 GPUs on this machine; accepted .* --nproc-per-node 1"):
            choose_device(name)
    assert choose_device("cpu").type == "cpu"


def test_several_processes_settle_the_same_minutes(tmp_path: Path) -> None:
    line = "pretrain --dataset shapes --backbone resnet9-small --batch-size 32 --optimizer adamw --view-sizes 8 --minutes 0.05"
    assert codes(start(tmp_path, line, count=2)) == [0, 0]
    run = only_run(tmp_path)
    assert run.status == "finished"
    given = ["backbone", "dataset", "batch_size", "optimizer", "view_sizes"]
    assert run.choices == {"minutes": 0.05, "given": given}
    assert run.history[-1]["step"] == (run.options["max_steps"] or 7 * run.options["epochs"])


def test_two_processes_watch_as_one_does(undisturbed: tuple[Run, dict[str, Tensor]], tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    together.mkdir()
    alone.mkdir()
    line = f"{LINE} --watch patchwork"
    stopped = start(together, line, count=2, SIGNAL_AT=f"1 16 {signal.SIGTERM:d}")
    assert codes(stopped) == [143, 143], (together / "output.txt").read_text()
    assert codes(start(together, "resume", count=2)) == [0, 0], (together / "output.txt").read_text()
    assert codes(start(alone, line, count=1)) == [0], (alone / "output.txt").read_text()
    same_within_rounding(together, undisturbed)
    watched = [
        [{name: value for name, value in epoch.items() if name.startswith("watch/")} for epoch in only_run(folder).history]
        for folder in (together, alone)
    ]
    assert [len(epoch) for epoch in watched[0]] == [0, 2, 0, 2]  # --knn-every 2
    for ours, theirs in zip(*watched, strict=True):
        assert ours == pytest.approx(theirs, abs=0.05)  # an image that lies between two classes may change sides
