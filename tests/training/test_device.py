"""The machine at hand is used well without being asked."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch

from sslcli.training import device

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _as_many_threads_as_before(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for name in device.THREADS:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "named", "threads"), [(2, None, 2), (64, None, 3), (2, "3", 3)])
def test_torch_computes_on_no_more_threads_than_cores_unless_told(
    cores: int, named: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(3)
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    if named:
        monkeypatch.setenv("OMP_NUM_THREADS", named)
    device.use_well(CPU)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("gain", "precision"), [(4.0, "bf16"), (1.3, "bf16"), (1.2, "fp32"), (0.02, "fp32"), (0.0, "fp32")])
def test_bfloat16_is_chosen_where_its_products_are_faster(gain: float, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: gain)
    assert device.choose_precision("auto", CPU) == precision
    assert device.choose_precision("fp32", CPU) == "fp32"
    assert device.choose_precision("bf16", CPU) == "bf16"


@pytest.mark.parametrize(
    ("recorded", "gain", "here"), [("bf16", 4.0, "bf16"), ("bf16", 0.02, "fp32"), ("fp32", 4.0, "fp32"), ("fp32", 0.02, "fp32")]
)
def test_a_trained_net_is_read_in_its_own_precision_unless_that_is_slow_here(
    recorded: str, gain: float, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: gain)
    assert device.precision_here(recorded, CPU) == here


@pytest.mark.parametrize(("bfloat16", "gain"), [(1.0, 2.0), (40.0, 0.05)])
def test_the_gain_is_the_ratio_of_the_least_times_whatever_a_neighbour_does(
    bfloat16: float, gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour stretches four of five products tenfold."""
    turns = count()

    def seconds(work: Callable[[], torch.Tensor], _: torch.device) -> float:
        return (bfloat16 if work().dtype == torch.bfloat16 else 2.0) * (1 if next(turns) % 5 == 0 else 10)

    monkeypatch.setattr(device, "seconds_of", seconds)
    assert device.bfloat16_gain.__wrapped__("cpu") == gain


def test_the_gain_is_measured_on_one_thread_and_leaves_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setattr(device, "seconds_of", lambda *_: threads.append(torch.get_num_threads()) or 1.0)
    torch.set_num_threads(3)
    device.bfloat16_gain.__wrapped__("cpu")
    assert set(threads) == {1}
    assert torch.get_num_threads() == 3


def test_the_gain_measured_here_gives_the_same_choice_beside_busy_neighbours() -> None:
    def choices() -> list[bool]:
        return [device.bfloat16_gain.__wrapped__("cpu") >= device.ENOUGH for _ in range(10)]

    alone = choices()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        beside = choices()
    finally:
        for neighbour in busy:
            neighbour.kill()
            neighbour.wait()
    assert len({*alone, *beside}) == 1


def test_a_device_without_bfloat16_has_no_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, dtype: torch.dtype, **__: object) -> None:
        raise TypeError(f"{dtype} is not supported on MPS")

    monkeypatch.setattr(torch, "ones", refuse)
    assert device.bfloat16_gain.__wrapped__("cpu") == 0


def test_a_machine_without_bfloat16_can_be_imitated() -> None:
    code = "import torch; from sslcli.training.device import choose_precision as c; print(c('auto', torch.device('cpu')))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fp32"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_memory_is_kept_from_step_to_step() -> None:
    def faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def steps(count: int) -> None:
        for _ in range(count):
            torch.ones(size) * 2

    device.use_well(CPU)
    size = 10 * 2**20  # of float32: 40 MB, which glibc would fetch anew each time
    steps(100)
    before = faults()
    steps(50)
    assert faults() - before < 0.1 * 100 * size * 4 / 4096
